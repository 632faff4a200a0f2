/* Memory that stays out of core files and is wiped before it goes back: the memory under no-dump
 * arenas and buffers. */
#pragma once

#include <stddef.h>

#include "common/base/macros.h"

/*
 * At least *io_size zeroed bytes; *io_size becomes the real size: 512, 1024, 2048, or whole pages,
 * page-aligned. NULL when there is no memory. A freed block is used again without a system call:
 * small ones come from regions of 64 KiB of a thread, of larger ones it keeps up to 32 of at most
 * 512 KiB, 2 MiB in all.
 */
void *bf_nodump_alloc(size_t *io_size) BF_MUST_CHECK;

/* Wipes, then keeps or unmaps; size as returned by bf_nodump_alloc. Accepts NULL. */
void bf_nodump_free(void *ptr, size_t size);

/* Unmaps what the calling thread keeps. */
void bf_nodump_trim(void);
