/*
 * Reading snapshot.last. Called by registry.c when the config store cannot be used. Must never
 * believe a copy that is not whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "common/proc/fds.h"
#include "common/snapshot/snapshot.h"
#include "writerd/change/last_good_priv.h"
#include "writerd/entity/entity_make.h"

struct reading {
	const struct last_good *g;
	int fd;
	char id[33];
	uint32_t piece;
	struct bf_buf sealed, plain; /* plain: what was unsealed and not taken yet */
	struct bf_err *err;
};

static int read_exactly(struct reading *r, void *out, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = read(r->fd, (char *)out + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bf_err_sys(r->err, -errno, "%s", r->g->path);
		if (n == 0)
			return bf_err_set(r->err, BF_E_CORRUPT, "%s: is cut off", r->g->path);
		at += (size_t)n;
	}
	return 0;
}

static int next_piece(struct reading *r)
{
	char place[LAST_GOOD_PLACE];
	uint32_t len = 0;
	int code = read_exactly(r, &len, sizeof(len));

	if (code == 0 && len > LAST_GOOD_PIECE + BF_SEAL_OVERHEAD)
		code = bf_err_set(r->err, BF_E_CORRUPT, "%s: is damaged", r->g->path);
	bf_buf_clear(&r->sealed);
	if (code == 0)
		code = bf_buf_reserve(&r->sealed, len + 1u);
	if (code == 0)
		code = read_exactly(r, r->sealed.data, len);
	if (code < 0)
		return code;
	code = bf_unseal(r->g->key, last_good_place(r->id, r->piece++, place),
			 (struct bf_slice){r->sealed.data, len}, &r->plain);
	return code < 0 ? bf_err_set(r->err, code,
				     "%s: was sealed with another encryption_key, or is damaged",
				     r->g->path)
			: 0;
}

static int take(struct reading *r, void *out, size_t len)
{
	size_t at = 0;
	int code = 0;

	while (code == 0 && at < len) {
		size_t n = BF_MIN(bf_buf_len(&r->plain), len - at);

		if (n == 0) {
			code = next_piece(r);
			if (code == 0 && bf_buf_len(&r->plain) == 0)
				code =
				    bf_err_set(r->err, BF_E_CORRUPT, "%s: is damaged", r->g->path);
			continue;
		}
		memcpy((char *)out + at, r->plain.data + r->plain.start, n);
		bf_buf_consume(&r->plain, n);
		at += n;
	}
	return code;
}

static int map_next(struct reading *r, uint64_t size, struct bf_snapshot_blob **ret_blob)
{
	struct bf_buf bytes;
	int code, fd;

	if (size == 0 || size > BF_SNAPSHOT_MAX_BYTES)
		return bf_err_set(r->err, BF_E_CORRUPT, "%s: is damaged", r->g->path);
	bf_buf_init_nodump(&bytes, size);
	code = bf_buf_reserve(&bytes, size);
	if (code == 0)
		code = take(r, bytes.data, size);
	if (code == 0) {
		fd = bf_memfd_sealed("bifrost-last", bytes.data, size);
		code = fd < 0 ? bf_err_sys(r->err, fd, "%s", r->g->path)
			      : bf_snapshot_map(fd, ret_blob, r->err);
		if (fd >= 0)
			(void)close(fd);
	}
	bf_buf_done(&bytes);
	return code;
}

static int restore_type(const struct bf_snapshot *s, uint32_t type, struct entities *t,
			struct bf_arena *arena, struct bf_err *err)
{
	struct bf_snapshot_cursor cursor = {0};
	struct bf_entity e;
	int code = 0;

	while (code == 0 && bf_snapshot_next(s, type, &cursor, &e)) {
		struct entity *x = NULL, *old = NULL;

		bf_arena_reset(arena);
		code = entity_restore(&e, arena, &x, err);
		if (code == 0)
			code = entities_put(t, x, &old);
		if (code < 0)
			entity_free(x);
		entity_free(old);
	}
	return code;
}

static int restore(const struct bf_snapshot *s, struct entities *t, uint8_t *ret_pepper,
		   struct bf_err *err)
{
	struct bf_arena arena;
	int code = 0;

	if (bf_snapshot_base_id(s->base) != bf_snapshot_base_id(s->overlay))
		return bf_err_set(err, BF_E_CORRUPT, "the copy's parts are not of each other");
	bf_arena_init_nodump(&arena, 16 << 20);
	for (uint32_t type = 1; type < BF_ENTITY_TYPE_MAX && code == 0; type++)
		code = restore_type(s, type, t, &arena, err);
	bf_arena_done(&arena);
	memcpy(ret_pepper, bf_snapshot_pepper(s->base), BF_SNAPSHOT_PEPPER_LEN);
	return code;
}

/* Of base and overlay. */
static int read_sizes(struct reading *r, uint64_t ret_sizes[2])
{
	char magic[LAST_GOOD_MAGIC_LEN];
	int code = read_exactly(r, magic, sizeof(magic));

	if (code == 0 && memcmp(magic, LAST_GOOD_MAGIC, sizeof(magic)) != 0)
		code = bf_err_set(r->err, BF_E_TYPE, "%s: is no copy of a snapshot", r->g->path);
	if (code == 0)
		code = read_exactly(r, r->id, sizeof(r->id) - 1);
	return code ? code : take(r, ret_sizes, 2 * sizeof(*ret_sizes));
}

static int read_copy(struct reading *r, struct entities *t, uint8_t *ret_pepper)
{
	struct bf_snapshot_blob *base = NULL, *overlay = NULL;
	uint64_t sizes[2] = {0, 0};
	int code = read_sizes(r, sizes);

	if (code == 0)
		code = map_next(r, sizes[0], &base);
	if (code == 0)
		code = map_next(r, sizes[1], &overlay);
	if (code == 0) {
		const struct bf_snapshot s = {base, overlay};

		code = restore(&s, t, ret_pepper, r->err);
	}
	bf_snapshot_unmap(base);
	bf_snapshot_unmap(overlay);
	return code;
}

static int begin(struct reading *r, const struct last_good *g, struct bf_err *err)
{
	*r = (struct reading){.g = g, .err = err};
	if (!g->loop)
		return bf_err_set(err, BF_E_MISSING,
				  "without encryption_key there is no copy of what was in force");
	r->fd = open(g->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd < 0)
		return errno == ENOENT ? bf_err_set(err, BF_E_MISSING, "%s: is not there", g->path)
				       : bf_err_sys(err, -errno, "%s", g->path);
	bf_buf_init(&r->sealed, LAST_GOOD_PIECE + BF_SEAL_OVERHEAD + 1);
	bf_buf_init_nodump(&r->plain, LAST_GOOD_PIECE);
	return 0;
}

static void end(struct reading *r)
{
	bf_buf_done(&r->sealed);
	bf_buf_done(&r->plain);
	(void)close(r->fd);
}

bool last_good_is_there(const struct last_good *g)
{
	uint64_t sizes[2];
	struct bf_err err = {0};
	struct reading r;
	int code = begin(&r, g, &err);

	if (code < 0)
		return false;
	code = read_sizes(&r, sizes);
	end(&r);
	return code == 0;
}

int last_good_load(const struct last_good *g, struct entities *t, uint8_t ret_pepper[32],
		   struct bf_err *err)
{
	struct reading r;
	int code = begin(&r, g, err);

	if (code < 0)
		return code;
	code = read_copy(&r, t, ret_pepper);
	end(&r);
	return code;
}
