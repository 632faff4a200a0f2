/*
 * SPSC ring of fixed records between the holder of a process slot and writerd. Used by usage.c,
 * twice per slot. Positions count up for ever; a position's place is position % count.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "shm/layout.h"

struct shm_ring_view {
	struct shm_ring *ctl;
	unsigned char *records;
	uint32_t count; /* power of two */
	uint32_t record_bytes;
	/* Pages are given back in chunks of so many records, which must be a multiple of
	 * SHM_CHUNK_BYTES and divide count; 1: they are kept. */
	uint32_t chunk_records;
};

/* Producer: records that fit. */
uint64_t shm_ring_room(const struct shm_ring_view *v);
/* Producer: whether everything it pushed was released. */
bool shm_ring_drained(const struct shm_ring_view *v);
/*
 * Producer: makes sure that memory stands behind the next n places, n <= room; false when the file
 * system is full. Without it a push onto a new page of a full tmpfs ends the process with SIGBUS.
 */
bool shm_ring_prepare(const struct shm_ring_view *v, uint64_t n);
/* Producer: appends; room must be there (asserted). */
void shm_ring_push(const struct shm_ring_view *v, const void *record);

/* Anyone: records pushed and not released; never more than count, whatever the words say. */
uint64_t shm_ring_waiting(const struct shm_ring_view *v);

/* Consumer: the i-th waiting record, i < waiting. */
const void *shm_ring_at(const struct shm_ring_view *v, uint64_t i);
/* Consumer: lets go of the n oldest (at most what waits); gives whole chunks back to the kernel. */
void shm_ring_release(const struct shm_ring_view *v, uint64_t n);

/* 0 or BF_E_CORRUPT; the ring may be in use. floor: the word (freed or head) that tail is at most
 * capacity above. */
int shm_ring_valid(const struct shm_ring *ctl, const _Atomic uint64_t *floor, uint64_t capacity,
		   const char *name, uint32_t p, struct bf_err *err);

/* Consumer, or the freer of a dead slot: frees what a killed consumer had released but not yet
 * freed. */
void shm_ring_repair(const struct shm_ring_view *v);

/* The freer of a dead, empty slot: gives all pages back. */
void shm_ring_retire(const struct shm_ring_view *v);

/* Backs a chunk-aligned range with memory; false only when there is none (an older kernel is
 * trusted to have it). */
bool shm_touch(void *start, size_t len);
/* Gives whole pages back; the range must be chunk-aligned. A kernel or folder that cannot keeps the
 * pages: harmless. */
void shm_give_back(void *start, size_t len);
