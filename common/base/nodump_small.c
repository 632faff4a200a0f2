/*
 * Small no-dump blocks, cut from regions of 64 KiB. Called by nodump.c: most request bodies, and
 * most of what one open stream keeps, is far smaller than a page of its own. Must never hand out
 * bytes of an earlier owner: blocks come back wiped.
 */
#include "common/base/nodump_small.h"

#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>

#define REGION_BYTES (64u * 1024)
#define CLASSES      3u

/* Stands at the beginning of its region, in place of the first block. */
struct region {
	struct region *next, **prev_next; /* of the regions of its class with a free block */
	void *free;                       /* given back; each holds the address of the next */
	uint32_t fresh;                   /* bytes ever handed out, this head included */
	uint32_t used;                    /* blocks in use */
	uint32_t block;
};

static const uint32_t class_bytes[CLASSES] = {512, 1024, NODUMP_SMALL_MAX};

static _Thread_local struct region *open_regions[CLASSES]; /* those with a free block */

static unsigned class_of(size_t size)
{
	unsigned c = 0;

	while (class_bytes[c] < size)
		c++;
	return c;
}

static struct region *region_of(void *ptr)
{
	return (struct region *)((uintptr_t)ptr & ~(uintptr_t)(REGION_BYTES - 1));
}

static bool region_is_full(const struct region *r)
{
	return !r->free && r->fresh + r->block > REGION_BYTES;
}

static void region_link(struct region *r)
{
	struct region **first = &open_regions[class_of(r->block)];

	r->next = *first;
	r->prev_next = first;
	if (r->next)
		r->next->prev_next = &r->next;
	*first = r;
}

static void region_unlink(struct region *r)
{
	*r->prev_next = r->next;
	if (r->next)
		r->next->prev_next = r->prev_next;
	r->prev_next = NULL;
}

static struct region *region_new(unsigned c)
{
	struct region *r = nodump_map(REGION_BYTES, REGION_BYTES);

	if (!r)
		return NULL;
	r->block = r->fresh = class_bytes[c];
	region_link(r);
	return r;
}

void *nodump_small_alloc(size_t *io_size)
{
	unsigned c = class_of(*io_size);
	struct region *r = open_regions[c] ? open_regions[c] : region_new(c);
	void **block;

	if (!r)
		return NULL;
	if (r->free) {
		block = r->free;
		r->free = *block;
		*block = NULL;
	} else {
		block = (void **)(void *)((char *)r + r->fresh);
		r->fresh += r->block;
	}
	r->used++;
	if (region_is_full(r))
		region_unlink(r);
	*io_size = r->block;
	return block;
}

/* One empty region of a class stays: the next request wants it. */
static bool region_is_spare(const struct region *r)
{
	return r->used == 0 && (r->next || r->prev_next != &open_regions[class_of(r->block)]);
}

static void region_unmap(struct region *r)
{
	region_unlink(r);
	while (r->free) {
		void **block = r->free;
		r->free = *block;
		*block = NULL;
	}
	*r = (struct region){0}; /* whoever looks for secrets finds zeros */
	(void)munmap(r, REGION_BYTES);
}

void nodump_small_free(void *ptr, size_t size)
{
	struct region *r = region_of(ptr);
	bool was_full = region_is_full(r);

	assert(r->block == size && r->used > 0);
	(void)size;
	*(void **)ptr = r->free;
	r->free = ptr;
	r->used--;
	if (was_full)
		region_link(r);
	if (region_is_spare(r))
		region_unmap(r);
}

void nodump_small_trim(void)
{
	for (unsigned c = 0; c < CLASSES; c++) {
		for (struct region *r = open_regions[c], *next; r; r = next) {
			next = r->next;
			if (r->used == 0)
				region_unmap(r);
		}
	}
}
