/*
 * Bytes as a blob, mapped and asked everything that there is to ask, as a base and as an overlay
 * over itself. The first byte says what is mended before, because nothing else
 * would get past the header: its checksum and length, or nothing. Aborts when a find gives what was
 * not asked for, or a walk does not end.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/macros.h"
#include "common/snapshot/snapshot_priv.h"

#define BYTES_MAX 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

static struct bf_snapshot_blob *map(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct bf_snapshot_blob *blob = NULL;
	struct bf_err err;

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	require(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
	require((bf_snapshot_map(fd, &blob, &err) == 0) == (blob != NULL));
	(void)close(fd);
	return blob;
}

/* What bodies become is the business of the decoder, which has a fuzzer of its own; here they are
 * only to end well. */
static void assemble(const struct bf_snapshot *s, const struct bf_entity *key)
{
	struct bf_snapshot_parts parts;
	struct bf_config config;
	struct bf_arena arena;

	bf_arena_init(&arena, 1 << 20);
	(void)bf_snapshot_key_config(s, key, &arena, &config, &parts, NULL);
	(void)bf_snapshot_parts_hold(s, &parts);
	bf_arena_done(&arena);
}

static void look_up(const struct bf_snapshot *s, const struct bf_entity *e)
{
	struct bf_entity found;

	if (bf_snapshot_find(s, e->type, e->id, &found))
		require(found.type == e->type && bf_slice_eq(found.id, e->id) &&
			!(found.flags & BF_ENTITY_DELETED));
	if (bf_snapshot_find_secret(s, e->type, e->secret, &found))
		require(found.type == e->type &&
			memcmp(found.secret, e->secret, sizeof(e->secret)) == 0);
}

static void walk(const struct bf_snapshot *s, uint32_t type)
{
	struct bf_snapshot_cursor all = {0}, of = {0};
	struct bf_entity e, scoped;
	uint64_t steps = 0, most = bf_snapshot_bytes(s->base) +
				   (s->overlay ? bf_snapshot_bytes(s->overlay) : 0);

	while (bf_snapshot_next(s, type, &all, &e)) {
		require(e.type == type && e.id.len > 0 && ++steps <= most);
		if (steps > 64)
			continue;
		look_up(s, &e);
		for (of = (struct bf_snapshot_cursor){0};
		     bf_snapshot_next_of(s, type, e.scope, &of, &scoped);)
			require(bf_slice_eq(scoped.scope, e.scope) && ++steps <= most * 64);
		if (type == BF_ENTITY_VIRTUAL_KEY)
			assemble(s, &e);
	}
	(void)bf_snapshot_live(s, type);
}

static void ask(const struct bf_snapshot_blob *base, const struct bf_snapshot_blob *overlay)
{
	const struct bf_snapshot s = {base, overlay};
	struct bf_config config;
	struct bf_arena arena;

	for (uint32_t type = 0; type <= BF_ENTITY_TYPE_MAX; type++)
		walk(&s, type);
	(void)bf_snapshot_common(&s);
	bf_arena_init(&arena, 1 << 20);
	(void)bf_snapshot_common_config(&s, &arena, &config, NULL);
	bf_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[BYTES_MAX];
	struct bf_snapshot_blob *blob;

	if (size < 1 || size > sizeof(bytes))
		return 0;
	memcpy(bytes, data + 1, size - 1);
	if (data[0] && size - 1 >= sizeof(struct snap_header)) {
		struct snap_header head;

		memcpy(&head, bytes, sizeof(head));
		head.length = size - 1;
		head.checksum = snap_checksum(&head);
		memcpy(bytes, &head, sizeof(head));
	}
	blob = map(bytes, size - 1);
	if (!blob)
		return 0;
	ask(blob, NULL);
	ask(blob, blob);
	bf_snapshot_unmap(blob);
	return 0;
}
