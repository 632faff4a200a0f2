/* Pages that stay out of core files and are wiped before they go back: the memory under no-dump
 * arenas and buffers. */
#pragma once

#include <stddef.h>

#include "common/base/macros.h"

/*
 * At least *io_size zeroed bytes, page-aligned; *io_size becomes the real size. NULL when there is
 * no memory. A freed block of the same size is used again without a system call: a thread keeps up
 * to 32 of them, of at most 64 KiB.
 */
void *bf_nodump_alloc(size_t *io_size) BF_MUST_CHECK;

/* Wipes, then keeps or unmaps; size as returned by bf_nodump_alloc. Accepts NULL. */
void bf_nodump_free(void *ptr, size_t size);

/* Unmaps what the calling thread keeps. */
void bf_nodump_trim(void);
