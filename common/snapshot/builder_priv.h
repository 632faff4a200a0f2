/* Between builder.c and builder_index.c. */
#pragma once

#include "common/snapshot/builder.h"
#include "common/snapshot/snapshot_priv.h"

struct posting {
	uint64_t hash, place;
};

struct posting_list {
	void *items;
	uint32_t count, room;
};

struct bf_snapshot_builder {
	int fd; /* -1: it was given away */
	char *block;
	size_t block_bytes, filled;
	uint64_t written; /* of what is in front of the block */
	bool broken;      /* something failed, or it is finished: nothing more can be added */
	struct snap_header head;
	struct posting_list by[SNAP_INDEXES];           /* of struct posting */
	struct posting_list places[BF_ENTITY_TYPE_MAX]; /* of uint32_t */
};

/* Appends. 0 or -errno. */
int builder_write(struct bf_snapshot_builder *b, const void *bytes, size_t len);
/* Up to the next multiple of 8. */
int builder_align(struct bf_snapshot_builder *b);
/* So that it can be read. */
int builder_flush(struct bf_snapshot_builder *b);
uint64_t builder_at(const struct bf_snapshot_builder *b);

/* ---- builder_index.c */

/* Appends the indexes and the list of places. 0; BF_E_DUPLICATE with err; BF_E_LIMIT; -errno. */
int builder_indexes(struct bf_snapshot_builder *b, struct bf_err *err);
