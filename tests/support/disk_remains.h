/* What is found of a recorded database after the power went: see recorded_vfs.h. */
#pragma once

#include "tests/support/recorded_vfs.h"

/* What a file holds; NULL and gone: there is none. */
struct disk_image {
	uint8_t *bytes;
	size_t len;
	bool exists;
};

static inline void image_resize(struct disk_image *m, size_t len)
{
	if (len > m->len) {
		m->bytes = realloc(m->bytes, len);
		assert_non_null(m->bytes);
		memset(m->bytes + m->len, 0, len - m->len);
	}
	m->len = len;
}

/* len: of a write, how many of its bytes arrive. */
static inline void image_apply(struct disk_image *m, const struct disk_op *op, size_t len)
{
	switch (op->kind) {
	case DISK_WRITE:
		m->exists = true;
		if (len > 0 && op->at + len > m->len)
			image_resize(m, op->at + len);
		if (len > 0)
			memcpy(m->bytes + op->at, op->bytes, len);
		break;
	case DISK_TRUNCATE:
		image_resize(m, op->at);
		break;
	case DISK_DELETE:
		m->len = 0;
		m->exists = false;
		break;
	case DISK_SYNC:
	case DISK_SYNC_FOLDER:
		break;
	}
}

enum disk_loss {
	DISK_LOSES_NOTHING, /* everything that was written arrived */
	DISK_LOSES_ALL,     /* nothing that was not synced did */
	DISK_LOSES_SOME,    /* some of it did, each write whole, torn or not at all */
	DISK_LOSSES,
};

/* How much of a write arrives that was not synced, if any. */
static inline bool disk_arrives(enum disk_loss loss, uint32_t chance, size_t *len)
{
	if (loss == DISK_LOSES_SOME && chance % 3 == 1)
		*len = *len / 512 * 512 / 2;
	return loss == DISK_LOSES_NOTHING || (loss == DISK_LOSES_SOME && chance % 3 != 0);
}

/*
 * The files as they are found when the power goes after the first count operations. seed decides
 * what DISK_LOSES_SOME loses.
 */
static inline void disk_remains(size_t count, enum disk_loss loss, uint32_t seed,
				struct disk_image images[DISK_FILES])
{
	size_t synced[DISK_FILES] = {0}, folder_synced = 0;
	bool nameless[DISK_FILES] = {false}; /* the old file of this name is there again */

	for (size_t i = 0; i < count; i++) {
		if (disk.ops[i].kind == DISK_SYNC)
			synced[disk.ops[i].file] = i + 1;
		if (disk.ops[i].kind == DISK_SYNC_FOLDER)
			folder_synced = i + 1;
	}
	for (size_t i = 0; i < count; i++) {
		const struct disk_op *op = &disk.ops[i];
		bool is_delete = op->kind == DISK_DELETE;
		bool safe = i < (is_delete ? folder_synced : synced[op->file]);
		size_t len = op->len;

		seed = seed * 1664525u + 1013904223u;
		if (nameless[op->file])
			continue;
		if (safe || disk_arrives(loss, seed >> 24, &len))
			image_apply(&images[op->file], op, len);
		else if (is_delete)
			nameless[op->file] = true;
	}
}

/* Writes them as a database called path. */
static inline void disk_lay_out(const struct disk_image images[DISK_FILES], const char *path)
{
	char name[256];

	for (int i = 0; i < DISK_FILES; i++) {
		FILE *f;

		(void)snprintf(name, sizeof(name), "%s%s", path, disk_suffixes[i]);
		(void)remove(name);
		if (!images[i].exists)
			continue;
		f = fopen(name, "w");
		assert_non_null(f);
		if (images[i].len)
			assert_int_equal(fwrite(images[i].bytes, images[i].len, 1, f), 1);
		assert_int_equal(fclose(f), 0);
	}
	(void)snprintf(name, sizeof(name), "%s-shm", path);
	(void)remove(name);
}

static inline void disk_free(struct disk_image images[DISK_FILES])
{
	for (int i = 0; i < DISK_FILES; i++)
		free(images[i].bytes);
	memset(images, 0, DISK_FILES * sizeof(images[0]));
}
