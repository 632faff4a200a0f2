/*
 * The indexes of a blob. Called when all of its records are written. Must never leave two records
 * under one id: which of them counts would be chance.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/snapshot/builder_priv.h"

/* About four postings a bucket: they share a line of the cache with those that are looked for. */
static uint32_t bits_for(uint32_t count)
{
	uint32_t bits = 0;

	while (bits < SNAP_BITS_MAX && (count >> bits) > 4)
		bits++;
	return bits;
}

/* ---- grouping */

struct grouped {
	uint32_t *starts; /* (1 << bits) + 1 */
	uint64_t *postings;
	uint32_t count, bits;
};

/* Counts, adds up, puts each where its bucket has got to: stable, in two passes. */
static int group(const struct posting_list *list, struct grouped *ret)
{
	const struct posting *items = list->items;
	struct grouped g = {.count = list->count, .bits = bits_for(list->count)};
	uint32_t buckets = UINT32_C(1) << g.bits;

	g.starts = calloc((size_t)buckets + 2, sizeof(*g.starts));
	g.postings = malloc(((size_t)g.count + 1) * sizeof(*g.postings));
	*ret = g;
	if (!g.starts || !g.postings)
		return -ENOMEM;
	/* Two ahead, so that what counts up while postings are put ends as the starts. */
	for (uint32_t i = 0; i < g.count; i++)
		g.starts[snap_bucket(items[i].hash, g.bits) + 2]++;
	for (uint32_t k = 2; k < buckets + 2; k++)
		g.starts[k] += g.starts[k - 1];
	for (uint32_t i = 0; i < g.count; i++) {
		uint32_t at = g.starts[snap_bucket(items[i].hash, g.bits) + 1]++;

		g.postings[at] = items[i].hash << SNAP_PLACE_BITS | items[i].place;
	}
	return 0;
}

/* ---- each only once */

static bool is_same(const struct bf_snapshot_blob *records, uint64_t a, uint64_t b,
		    struct bf_entity *ret_entity)
{
	struct bf_entity first;

	return ((a ^ b) & ~SNAP_PLACE_MASK) == 0 &&
	       snap_read(records, a & SNAP_PLACE_MASK, &first) &&
	       snap_read(records, b & SNAP_PLACE_MASK, ret_entity) &&
	       first.type == ret_entity->type && bf_slice_eq(first.id, ret_entity->id);
}

static int check_ids(const struct bf_snapshot_blob *records, const struct grouped *g,
		     struct bf_err *err)
{
	struct bf_entity again;

	for (uint32_t k = 0; k < UINT32_C(1) << g->bits; k++)
		for (uint32_t i = g->starts[k]; i < g->starts[k + 1]; i++)
			for (uint32_t n = g->starts[k]; n < i; n++)
				if (is_same(records, g->postings[n], g->postings[i], &again))
					return bf_err_set(err, BF_E_DUPLICATE,
							  "snapshot: %s \"%.*s\" was added twice",
							  bf_entity_def(again.type)->name,
							  BF_SLICE_FMT(again.id));
	return 0;
}

/* ---- writing */

static int write_index(struct bf_snapshot_builder *b, enum snap_by by, const struct grouped *g)
{
	struct snap_index *x = &b->head.indexes[by];
	int r;

	*x = (struct snap_index){.starts = builder_at(b), .count = g->count, .bits = g->bits};
	r = builder_write(b, g->starts,
			  ((size_t)(UINT32_C(1) << g->bits) + 1) * sizeof(*g->starts));
	if (r == 0)
		r = builder_align(b);
	x->postings = builder_at(b);
	if (r == 0)
		r = builder_write(b, g->postings, g->count * sizeof(*g->postings));
	return r;
}

static int make_index(struct bf_snapshot_builder *b, const struct bf_snapshot_blob *records,
		      enum snap_by by, struct bf_err *err)
{
	struct grouped g;
	int r = group(&b->by[by], &g);

	free(b->by[by].items);
	b->by[by] = (struct posting_list){NULL, 0, 0};
	if (r == 0 && by == SNAP_BY_ID)
		r = check_ids(records, &g, err);
	if (r == 0)
		r = write_index(b, by, &g);
	free(g.starts);
	free(g.postings);
	return r;
}

static int write_places(struct bf_snapshot_builder *b)
{
	uint32_t first = 0;
	int r = 0;

	b->head.places = builder_at(b);
	for (unsigned t = 0; r == 0 && t < BF_ENTITY_TYPE_MAX; t++) {
		const struct posting_list *places = &b->places[t];

		b->head.first[t] = first;
		first += places->count;
		if (places->count)
			r = builder_write(b, places->items, places->count * sizeof(uint32_t));
	}
	b->head.first[BF_ENTITY_TYPE_MAX] = first;
	return r ? r : builder_align(b);
}

/* Records are looked at again where two may be the same. */
static int with_records(struct bf_snapshot_builder *b, void *bytes, struct bf_err *err)
{
	struct bf_snapshot_blob records = {.bytes = bytes, .head.records_end = b->head.records_end};
	int r = 0;

	for (unsigned by = 0; r == 0 && by < SNAP_INDEXES; by++)
		r = make_index(b, &records, (enum snap_by)by, err);
	return r ? r : write_places(b);
}

int builder_indexes(struct bf_snapshot_builder *b, struct bf_err *err)
{
	uint64_t size = b->head.records_end;
	void *bytes;
	int r = builder_flush(b);

	if (r < 0)
		return r;
	if (ftruncate(b->fd, (off_t)size) < 0)
		return -errno;
	bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, b->fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	(void)madvise(bytes, size, MADV_DONTDUMP);
	r = with_records(b, bytes, err);
	(void)munmap(bytes, size);
	return r;
}
