/*
 * Memory for secrets. Called by arena.c and buf.c. Never hands out a page that a core file would
 * hold: a kernel that refuses MADV_DONTDUMP counts as out of memory.
 */
#include "common/base/nodump.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *bf_nodump_alloc(size_t *io_size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (*io_size > SIZE_MAX - page)
		return NULL;
	size_t size = (*io_size + page - 1) / page * page;
	if (size == 0)
		size = page;
	void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ptr == MAP_FAILED)
		return NULL;
	if (madvise(ptr, size, MADV_DONTDUMP) < 0) {
		(void)munmap(ptr, size);
		return NULL;
	}
	*io_size = size;
	return ptr;
}

void bf_nodump_free(void *ptr, size_t size)
{
	if (!ptr)
		return;
	explicit_bzero(ptr, size);
	(void)munmap(ptr, size);
}
