/*
 * Memory for secrets. Called by arena.c and buf.c, on the request path too, hence the few blocks
 * kept for reuse. Never hands out a page that a core file would hold (a kernel that refuses
 * MADV_DONTDUMP counts as out of memory), and never keeps one that is not wiped.
 */
#include "common/base/nodump.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/nodump_small.h"

/* A large body, and the tape of one that is all short values, must not cost a page fault for each
 * 4 KiB every time. */
#define KEEP_COUNT       32u
#define KEEP_MAX_BYTES   (512u * 1024)
#define KEEP_TOTAL_BYTES (2048u * 1024)

struct kept_block {
	void *ptr;
	size_t size;
};

static _Thread_local struct kept_block kept[KEEP_COUNT];
static _Thread_local size_t kept_count, kept_bytes;

/* The newest one first: its pages are the likeliest to be in the cache. */
static void *take_kept(size_t size)
{
	for (size_t i = kept_count; i-- > 0;)
		if (kept[i].size == size) {
			void *ptr = kept[i].ptr;
			kept[i] = kept[--kept_count];
			kept_bytes -= size;
			return ptr;
		}
	return NULL;
}

static size_t page_size(void)
{
	static _Thread_local size_t page;

	if (page == 0)
		page = (size_t)sysconf(_SC_PAGESIZE);
	return page;
}

static void *map_nodump(size_t size)
{
	void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ptr == MAP_FAILED)
		return NULL;
	if (madvise(ptr, size, MADV_DONTDUMP) < 0) {
		(void)munmap(ptr, size);
		return NULL;
	}
	return ptr;
}

void *nodump_map(size_t size, size_t align)
{
	char *ptr = map_nodump(size + align);
	size_t before;

	if (!ptr)
		return NULL;
	before = (align - ((uintptr_t)ptr & (align - 1))) & (align - 1);
	if (before)
		(void)munmap(ptr, before);
	if (align - before)
		(void)munmap(ptr + before + size, align - before);
	return ptr + before;
}

void *bf_nodump_alloc(size_t *io_size)
{
	size_t page = page_size();

	if (*io_size <= NODUMP_SMALL_MAX)
		return nodump_small_alloc(io_size);
	if (*io_size > SIZE_MAX - page)
		return NULL;
	size_t size = (*io_size + page - 1) / page * page;
	void *ptr = take_kept(size);
	if (!ptr)
		ptr = map_nodump(size);
	if (ptr)
		*io_size = size;
	return ptr;
}

static bool keep(void *ptr, size_t size)
{
	if (size > KEEP_MAX_BYTES || kept_count == KEEP_COUNT ||
	    size > KEEP_TOTAL_BYTES - kept_bytes)
		return false;
	kept[kept_count++] = (struct kept_block){ptr, size};
	kept_bytes += size;
	return true;
}

void bf_nodump_free(void *ptr, size_t size)
{
	if (!ptr)
		return;
	explicit_bzero(ptr, size);
	if (size <= NODUMP_SMALL_MAX)
		nodump_small_free(ptr, size);
	else if (!keep(ptr, size))
		(void)munmap(ptr, size);
}

void bf_nodump_trim(void)
{
	nodump_small_trim();
	while (kept_count) {
		kept_count--;
		(void)munmap(kept[kept_count].ptr, kept[kept_count].size);
	}
	kept_bytes = 0;
}
