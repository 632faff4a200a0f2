/* Blocks of less than a page that stay out of core files; only for nodump.c and its test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/macros.h"

#define NODUMP_SMALL_MAX 2048u

/* A zeroed block of 512, 1024 or 2048 bytes; *io_size becomes its real size. NULL: no memory. */
void *nodump_small_alloc(size_t *io_size) BF_MUST_CHECK;
/* The block must be wiped already. */
void nodump_small_free(void *ptr, size_t size);
/* Unmaps regions that hold nothing. */
void nodump_small_trim(void);

/* size bytes of memory that no core file has, at a multiple of align (a power of two of at least a
 * page); NULL. */
void *nodump_map(size_t size, size_t align) BF_MUST_CHECK;
