/*
 * Makes blobs. Called by writerd: records as they come, then the indexes. Must never hold a record
 * in memory longer than until the next block is written, nor seal what is not whole.
 */
#include "common/snapshot/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "common/base/nodump.h"
#include "common/snapshot/builder_priv.h"

#define BLOCK_BYTES (256u << 10)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* ---- writing */

static int write_at(int fd, const void *bytes, size_t len, uint64_t offset)
{
	const char *at = bytes;

	while (len) {
		ssize_t n = pwrite(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		offset += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int builder_flush(struct bf_snapshot_builder *b)
{
	int r = write_at(b->fd, b->block, b->filled, b->written);

	if (r == 0) {
		b->written += b->filled;
		b->filled = 0;
	}
	return r;
}

int builder_write(struct bf_snapshot_builder *b, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len) {
		size_t n = BF_MIN(len, b->block_bytes - b->filled);
		int r = 0;

		memcpy(b->block + b->filled, at, n);
		b->filled += n;
		at += n;
		len -= n;
		if (b->filled == b->block_bytes)
			r = builder_flush(b);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_text(struct bf_snapshot_builder *b, struct bf_slice text)
{
	return text.len ? builder_write(b, text.ptr, text.len) : 0;
}

uint64_t builder_at(const struct bf_snapshot_builder *b)
{
	return b->written + b->filled;
}

int builder_align(struct bf_snapshot_builder *b)
{
	static const char zeros[8];

	return builder_write(b, zeros, (size_t)(-builder_at(b) & 7));
}

/* ---- life */

static int open_memfd(bool is_overlay)
{
	const char *name = is_overlay ? "snapshot-overlay" : "snapshot-base";
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

int bf_snapshot_builder_open(struct bf_snapshot_builder **ret_builder, bool is_overlay,
			     uint64_t base_id, const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN],
			     struct bf_err *err)
{
	struct bf_snapshot_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return bf_err_sys(err, -ENOMEM, "snapshot");
	b->fd = open_memfd(is_overlay);
	b->block_bytes = BLOCK_BYTES;
	b->block = b->fd < 0 ? NULL : bf_nodump_alloc(&b->block_bytes);
	if (!b->block) {
		int r = b->fd < 0 ? b->fd : -ENOMEM;

		bf_snapshot_builder_close(b);
		return bf_err_sys(err, r, "snapshot: memfd");
	}
	b->head.kind = is_overlay ? SNAP_OVERLAY : SNAP_BASE;
	b->head.base_id = base_id;
	memcpy(b->head.pepper, pepper, sizeof(b->head.pepper));
	b->written = sizeof(b->head);
	*ret_builder = b;
	return 0;
}

void bf_snapshot_builder_close(struct bf_snapshot_builder *b)
{
	if (!b)
		return;
	if (b->fd >= 0)
		(void)close(b->fd);
	bf_nodump_free(b->block, b->block_bytes);
	for (unsigned i = 0; i < SNAP_INDEXES; i++)
		free(b->by[i].items);
	for (unsigned t = 0; t < BF_ENTITY_TYPE_MAX; t++)
		free(b->places[t].items);
	free(b);
}

/* ---- adding */

static int check(const struct bf_snapshot_builder *b, const struct bf_entity *e, struct bf_err *err)
{
	const struct bf_entity_def *def = bf_entity_def(e->type);

	if (!def)
		return bf_err_set(err, BF_E_RANGE, "snapshot: no type has the number %u",
				  (unsigned)e->type);
	if (e->id.len == 0 || e->id.len > BF_ENTITY_ID_MAX || e->scope.len > BF_ENTITY_ID_MAX ||
	    e->name.len > BF_ENTITY_NAME_MAX || e->body.len > BF_ENTITY_BODY_MAX)
		return bf_err_set(err, BF_E_RANGE,
				  "snapshot: %s \"%.*s\": an id is empty or something is too long",
				  def->name, (int)BF_MIN(e->id.len, BF_ENTITY_ID_MAX),
				  e->id.len ? e->id.ptr : "");
	if (e->flags & BF_ENTITY_DELETED && b->head.kind == SNAP_BASE)
		return bf_err_set(err, BF_E_STATE, "snapshot: %s \"%.*s\": a base has no deleted",
				  def->name, BF_SLICE_FMT(e->id));
	return 0;
}

static int grow(struct posting_list *list, size_t size)
{
	uint32_t room = list->room ? 2 * list->room : 64;
	void *items;

	if (list->count < list->room)
		return 0;
	items = reallocarray(list->items, room, size);
	if (!items)
		return -ENOMEM;
	list->items = items;
	list->room = room;
	return 0;
}

static int post(struct bf_snapshot_builder *b, enum snap_by by, uint64_t hash, uint64_t place)
{
	struct posting_list *list = &b->by[by];
	int r = grow(list, sizeof(struct posting));

	if (r == 0)
		((struct posting *)list->items)[list->count++] = (struct posting){hash, place};
	return r;
}

/* Under whatever it is to be found by. */
static int post_all(struct bf_snapshot_builder *b, const struct bf_entity *e, uint64_t place)
{
	const struct bf_entity_def *def = bf_entity_def(e->type);
	const struct bf_slice secret = {(const char *)e->secret, sizeof(e->secret)};
	const uint8_t *pepper = b->head.pepper;
	struct posting_list *places = &b->places[e->type];
	int r = grow(places, sizeof(uint32_t));

	if (r < 0)
		return r;
	((uint32_t *)places->items)[places->count++] = (uint32_t)place;
	if (b->head.kind == SNAP_BASE && snap_is_common(e))
		b->head.common += snap_mark(pepper, e);
	r = post(b, SNAP_BY_ID, snap_hash(pepper, e->type, e->id), place);
	if (r == 0 && def->has_secret && !(e->flags & BF_ENTITY_DELETED))
		r = post(b, SNAP_BY_SECRET, snap_hash(pepper, e->type, secret), place);
	if (r == 0 && def->scope_offset && !(e->flags & BF_ENTITY_DELETED))
		r = post(b, SNAP_BY_SCOPE, snap_hash(pepper, e->type, e->scope), place);
	return r;
}

static int write_record(struct bf_snapshot_builder *b, const struct bf_entity *e)
{
	bool secret = bf_entity_def(e->type)->has_secret;
	struct snap_record r = {.type = (uint16_t)e->type,
				.flags = (uint16_t)e->flags,
				.version = e->version,
				.created_ms = e->created_ms,
				.updated_ms = e->updated_ms,
				.body_len = (uint32_t)e->body.len,
				.id_len = (uint16_t)e->id.len,
				.name_len = (uint16_t)e->name.len,
				.scope_len = (uint16_t)e->scope.len,
				.secret_len = secret ? sizeof(e->secret) : 0};
	int code;

	r.bytes = (uint32_t)(sizeof(r) + r.body_len + r.id_len + r.name_len + r.scope_len +
			     r.secret_len + 7) &
		  ~7u;
	code = builder_write(b, &r, sizeof(r));
	if (code == 0)
		code = write_text(b, e->id);
	if (code == 0)
		code = write_text(b, e->name);
	if (code == 0)
		code = write_text(b, e->scope);
	if (code == 0)
		code = builder_write(b, e->secret, r.secret_len);
	if (code == 0)
		code = write_text(b, e->body);
	return code ? code : builder_align(b);
}

int bf_snapshot_builder_add(struct bf_snapshot_builder *b, const struct bf_entity *entity,
			    struct bf_err *err)
{
	uint64_t at = builder_at(b);
	int r = b->broken ? BF_E_STATE : check(b, entity, err);

	if (r < 0 && !b->broken)
		return r;
	/* Records and what leads to them share what there is: an index takes less than a record. */
	if (r == 0 && at > BF_SNAPSHOT_MAX_BYTES / 2)
		return bf_err_set(err, BF_E_LIMIT, "snapshot: more than 2 GiB of entities");
	if (r == 0)
		r = write_record(b, entity);
	if (r == 0)
		r = post_all(b, entity, at >> 3);
	/* What was written by half must not be sealed. */
	b->broken |= r < 0;
	return r < 0 ? bf_err_sys(err, r, "snapshot: adding to it") : 0;
}

/* ---- the end */

static int seal(struct bf_snapshot_builder *b)
{
	int r = builder_flush(b), fd = b->fd;

	b->head.magic = SNAP_MAGIC;
	b->head.version = SNAP_VERSION;
	b->head.length = b->written;
	b->head.checksum = snap_checksum(&b->head);
	if (r == 0)
		r = write_at(fd, &b->head, sizeof(b->head), 0);
	if (r == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0)
		return r;
	b->fd = -1;
	return fd;
}

int bf_snapshot_builder_finish(struct bf_snapshot_builder *b, struct bf_err *err)
{
	int r = b->broken ? BF_E_STATE : builder_align(b);

	b->head.records_end = builder_at(b);
	if (r == 0)
		r = builder_indexes(b, err);
	b->broken = true;
	if (r == BF_E_DUPLICATE)
		return r;
	if (r == 0)
		r = seal(b);
	return r < 0 ? bf_err_sys(err, r, "snapshot: finishing it") : r;
}
