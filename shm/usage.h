/*
 * Usage records: one per finished (or swept) request, never dropped. Each process slot has a small
 * ring that stays in cache and a large overflow ring that is touched only when the small one is
 * full; both lie in the segment, so they outlive the worker. One producer (the holder of the slot),
 * one consumer (writerd).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/segment.h"

#define SHM_USAGE_RECORD_BYTES     512u
#define SHM_USAGE_RING_RECORDS     1024u  /* 512 KiB per slot */
#define SHM_USAGE_OVERFLOW_RECORDS 65536u /* 32 MiB per slot, sparse; given back when drained */

enum shm_usage_flag {
	SHM_USAGE_STREAM = 1 << 0,
	SHM_USAGE_CRASHED = 1 << 1,   /* written by the sweep: its worker died */
	SHM_USAGE_ESTIMATED = 1 << 2, /* token numbers are an estimate */
	SHM_USAGE_TRUNCATED = 1 << 3, /* the upstream ended without its terminal event */
	SHM_USAGE_CLIENT_GONE = 1 << 4,
	SHM_USAGE_HAS_CONTENT =
	    1 << 5, /* bodies were put into the content ring under the same id */
};

enum shm_usage_status {
	SHM_USAGE_SUCCESS = 1,
	SHM_USAGE_ERROR = 2,
};

/* Text is not terminated when it fills its field; unused bytes are zero. */
struct shm_usage_record {
	uint8_t id[16]; /* UUIDv7 made at admission: the row's key */
	int64_t started_wall_ns;
	int64_t latency_us;    /* whole request */
	int64_t first_byte_us; /* to the first byte of the answer; 0: none */
	int64_t cost_nusd;
	uint64_t prompt_tokens, completion_tokens, cached_tokens;
	uint32_t flags; /* enum shm_usage_flag */
	uint16_t http_status;
	uint8_t status;      /* enum shm_usage_status */
	uint8_t object_type; /* 1: chat completion */
	uint32_t worker;     /* worker slot */
	uint32_t proc_slot;
	uint64_t incarnation; /* of the process slot */
	uint32_t attempts;    /* upstream calls made */
	uint32_t reserved0;
	char provider[32];
	char model[96];
	char key_name[48];
	char error_type[32];
	char error_text[120];
	uint8_t reserved1[80];
};
_Static_assert(sizeof(struct shm_usage_record) == SHM_USAGE_RECORD_BYTES, "usage record, layout 1");

/* Producer. 0 or BF_E_FULL when ring and overflow are full: the caller must not have admitted the
 * request then. */
int shm_usage_push(struct shm_segment *seg, uint32_t p, const struct shm_usage_record *r);
/* Records that still fit, counting the overflow: admission keeps one for every request in flight.
 */
uint64_t shm_usage_room(const struct shm_segment *seg, uint32_t p);

/*
 * Consumer (writerd). Looks at up to max records from the oldest on, without taking them; returns
 * how many. They stay valid until shm_usage_release(n), which takes the n oldest: called after they
 * are committed, so that a killed writerd finds them again.
 */
size_t shm_usage_peek(struct shm_segment *seg, uint32_t p,
		      const struct shm_usage_record **ret_records, size_t max);
void shm_usage_release(struct shm_segment *seg, uint32_t p, size_t n);
uint64_t shm_usage_waiting(const struct shm_segment *seg, uint32_t p);
uint64_t shm_usage_overflow_waiting(const struct shm_segment *seg, uint32_t p);
