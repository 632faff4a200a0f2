/*
 * Mapping a blob, and reading its records. Called by workers and the reader when they are told of a
 * new one. Must never believe an offset, a length or a count, nor read more of a big one than its
 * header: requests wait meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/siphash.h"
#include "common/snapshot/snapshot_priv.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* ---- what it is */

uint64_t snap_checksum(const struct snap_header *head)
{
	static const uint8_t key[16] = "bifrost-snapsho";

	return bf_siphash(key, head, offsetof(struct snap_header, checksum));
}

static bool fits(const struct snap_header *h, uint64_t offset, uint64_t bytes)
{
	return offset % 8 == 0 && offset >= h->records_end && offset <= h->length &&
	       bytes <= h->length - offset;
}

static const char *wrong_index(const struct snap_header *h)
{
	for (unsigned i = 0; i < SNAP_INDEXES; i++) {
		const struct snap_index *x = &h->indexes[i];

		if (x->bits > SNAP_BITS_MAX ||
		    !fits(h, x->starts, ((UINT64_C(1) << x->bits) + 1) * sizeof(uint32_t)) ||
		    !fits(h, x->postings, x->count * sizeof(uint64_t)))
			return "an index lies outside of it";
	}
	for (unsigned t = 0; t < BF_ENTITY_TYPE_MAX; t++)
		if (h->first[t] > h->first[t + 1])
			return "its counts do not fit each other";
	if (!fits(h, h->places, h->first[BF_ENTITY_TYPE_MAX] * sizeof(uint32_t)))
		return "its list of records lies outside of it";
	return NULL;
}

static const char *wrong(const struct snap_header *h, uint64_t size)
{
	if (h->magic != SNAP_MAGIC)
		return "it does not begin as one";
	if (h->version != SNAP_VERSION)
		return "it has the format of another version";
	if (h->checksum != snap_checksum(h))
		return "its checksum is wrong";
	if ((h->kind != SNAP_BASE && h->kind != SNAP_OVERLAY) || h->base_id == 0)
		return "it is neither base nor overlay";
	if (h->length != size || h->records_end < sizeof(*h) || h->records_end > size ||
	    h->records_end % 8)
		return "its length is wrong";
	return wrong_index(h);
}

/* ---- mapping */

static int measure(int fd, uint64_t *ret_size, struct bf_err *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || fstat(fd, &st) < 0)
		return bf_err_sys(err, -errno, "snapshot: fd %d", fd);
	if ((seals & SEALS) != SEALS)
		return bf_err_set(err, BF_E_STATE,
				  "snapshot: fd %d is not sealed against writes and size changes",
				  fd);
	*ret_size = (uint64_t)st.st_size;
	if (*ret_size < sizeof(struct snap_header) || *ret_size > BF_SNAPSHOT_MAX_BYTES)
		return bf_err_set(err, BF_E_SYNTAX, "snapshot: no blob has this length");
	return 0;
}

int bf_snapshot_map(int fd, struct bf_snapshot_blob **ret_blob, struct bf_err *err)
{
	struct bf_snapshot_blob *blob;
	const char *what;
	uint64_t size = 0;
	void *bytes;
	int r = measure(fd, &size, err);

	if (r < 0)
		return r;
	/* Private: before Linux 6.7 a sealed memfd cannot be shared, not even for reading. */
	bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return bf_err_sys(err, -errno, "snapshot: mmap");
	(void)madvise(bytes, size, MADV_DONTDUMP);
	what = wrong(bytes, size);
	blob = what ? NULL : malloc(sizeof(*blob));
	if (!blob) {
		(void)munmap(bytes, size);
		return what ? bf_err_set(err, BF_E_SYNTAX, "snapshot: %s", what)
			    : bf_err_sys(err, -ENOMEM, "snapshot");
	}
	blob->bytes = bytes;
	memcpy(&blob->head, bytes, sizeof(blob->head));
	*ret_blob = blob;
	return 0;
}

void bf_snapshot_unmap(struct bf_snapshot_blob *blob)
{
	if (!blob)
		return;
	(void)munmap((void *)(uintptr_t)blob->bytes, blob->head.length);
	free(blob);
}

uint64_t bf_snapshot_base_id(const struct bf_snapshot_blob *blob)
{
	return blob->head.base_id;
}

bool bf_snapshot_is_overlay(const struct bf_snapshot_blob *blob)
{
	return blob->head.kind == SNAP_OVERLAY;
}

uint64_t bf_snapshot_bytes(const struct bf_snapshot_blob *blob)
{
	return blob->head.length;
}

uint64_t bf_snapshot_count(const struct bf_snapshot_blob *blob, uint32_t type)
{
	return type < BF_ENTITY_TYPE_MAX ? blob->head.first[type + 1] - blob->head.first[type] : 0;
}

const uint8_t *bf_snapshot_pepper(const struct bf_snapshot_blob *blob)
{
	return blob->head.pepper;
}

/* ---- records */

static struct bf_slice take(const char **at, size_t len)
{
	struct bf_slice text = {len ? *at : NULL, len};

	*at += len;
	return text;
}

/* NULL: no record that lies between the others can begin there. */
static const struct snap_record *record_at(const struct bf_snapshot_blob *blob, uint64_t place)
{
	const uint64_t offset = place << 3, end = blob->head.records_end;
	const struct snap_record *r;

	if (offset < sizeof(struct snap_header) || offset > end || end - offset < sizeof(*r))
		return NULL;
	r = (const void *)(blob->bytes + offset);
	if (r->bytes > end - offset || r->bytes < sizeof(*r) + (uint64_t)r->body_len + r->id_len +
						      r->name_len + r->scope_len + r->secret_len)
		return NULL;
	return r;
}

bool snap_read(const struct bf_snapshot_blob *blob, uint64_t place, struct bf_entity *ret_entity)
{
	const struct snap_record *r = record_at(blob, place);
	struct bf_slice secret;
	const char *at;

	if (!r)
		return false;
	at = (const char *)(r + 1);
	*ret_entity = (struct bf_entity){.type = r->type,
					 .flags = r->flags,
					 .version = r->version,
					 .created_ms = r->created_ms,
					 .updated_ms = r->updated_ms,
					 .id = take(&at, r->id_len),
					 .name = take(&at, r->name_len),
					 .scope = take(&at, r->scope_len)};
	secret = take(&at, r->secret_len);
	if (secret.len == sizeof(ret_entity->secret))
		memcpy(ret_entity->secret, secret.ptr, secret.len);
	ret_entity->body = take(&at, r->body_len);
	return ret_entity->id.len > 0;
}
