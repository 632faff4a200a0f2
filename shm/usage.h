/*
 * Usage records: one per finished (or swept) request, never dropped. Each process slot has a ring
 * for what a saturated worker writes until writerd, which may share its core, has committed a
 * batch, and a large overflow ring that is touched only when the first one is full: its pages come
 * fresh from the kernel. Both lie in the segment, so they outlive the worker. One producer (the
 * holder of the slot), one consumer (writerd).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/meter.h"
#include "shm/segment.h"

#define SHM_USAGE_RECORD_BYTES     1664u
#define SHM_USAGE_RING_RECORDS     4096u  /* 6.5 MiB per slot */
#define SHM_USAGE_OVERFLOW_RECORDS 65536u /* 104 MiB per slot, sparse; given back when drained */

enum shm_usage_flag {
	SHM_USAGE_STREAM = 1 << 0,
	SHM_USAGE_CRASHED = 1 << 1,   /* written by the sweep: its worker died */
	SHM_USAGE_ESTIMATED = 1 << 2, /* token numbers are an estimate */
	SHM_USAGE_TRUNCATED = 1 << 3, /* the upstream ended without its terminal event */
	SHM_USAGE_CLIENT_GONE = 1 << 4,
	SHM_USAGE_HAS_CONTENT =
	    1 << 5, /* bodies were put into the content ring under the same id */
	SHM_USAGE_CONTENT_CUT = 1 << 6, /* one of them is not whole */
	SHM_USAGE_REFUSED = 1 << 7,     /* before a provider was asked: nothing is charged */
};

enum shm_usage_status {
	SHM_USAGE_SUCCESS = 1,
	SHM_USAGE_ERROR = 2,
};

/* What was asked for; object_type of a row. */
enum shm_usage_object {
	SHM_OBJECT_CHAT = 1,
	SHM_OBJECT_COMPLETION = 2,
	SHM_OBJECT_EMBEDDING = 3,
	SHM_OBJECT_RESPONSES = 4,
};

/* Whose limit refused a request, and which. All zero: none did. */
struct shm_usage_blame {
	uint8_t owner;    /* enum bf_owner + 1; 0: nobody */
	uint8_t quantity; /* enum bf_quantity of the limit, if it is named */
	uint8_t reserved[6];
	char owner_id[64];
	char limit_id[64]; /* "": it was no limit */
};

struct shm_usage_refusal {
	struct shm_usage_blame blame;
	char text[184]; /* instead of error_text: owners have long names */
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
	uint8_t object_type; /* enum shm_usage_object */
	uint32_t worker;     /* worker slot */
	uint32_t proc_slot;
	uint64_t incarnation;    /* of the process slot */
	uint32_t attempts;       /* calls begun, each with one key */
	uint32_t fallback_index; /* 0: the primary; else which fallback this row is about */
	char provider[32];
	char model[96];
	char key_name[48];
	char error_type[32];
	char error_text[120];
	char key_id[48];
	char stop_reason[24]; /* finish_reason or status, as the provider told it */
	char request_id[128]; /* the client's x-request-id */
	char parent_id[64];   /* of a fallback: the primary's id; else x-bf-parent-request-id */
	union {
		/* JSON: [["key name",status or "error type",milliseconds],...] */
		char attempt_trail[320];
		struct shm_usage_refusal refusal; /* with SHM_USAGE_REFUSED */
	};
	/* What its meters were charged: each of them the number of its quantity. */
	uint64_t tokens_charged; /* cost_nusd for money */
	uint32_t requests_charged;
	uint32_t meter_count;
	/* Of its worker's configuration when it began: whose limits it met. Ids are never longer, a
	 * name may be. */
	char virtual_key_id[64];
	char virtual_key_name[64];
	char team_id[64], customer_id[64];
	uint32_t meters[SHM_METERS_PER_REQUEST]; /* places in the segment */
	uint32_t epochs[SHM_METERS_PER_REQUEST]; /* the window of each that was charged */
	uint8_t reserved1[56];
};
_Static_assert(sizeof(struct shm_usage_record) == SHM_USAGE_RECORD_BYTES, "usage record, layout 5");
_Static_assert(sizeof(((struct shm_usage_record *)0)->request_id) == 128,
	       "as long as the longest that the front takes");

/*
 * What a row charges a meter of this quantity (enum bf_quantity): 0 .. SHM_METER_AMOUNT_MAX,
 * whatever a worker wrote; 0 for requests at once. The meter settles by it, and its totals add it
 * up.
 */
static inline int64_t shm_usage_charge(const struct shm_usage_record *r, uint32_t quantity)
{
	uint64_t n = 0;

	if (quantity == SHM_METER_REQUESTS)
		n = r->requests_charged;
	else if (quantity == SHM_METER_TOKENS)
		n = r->tokens_charged;
	else if (quantity == SHM_METER_NUSD && r->cost_nusd > 0)
		n = (uint64_t)r->cost_nusd;
	return n < (uint64_t)SHM_METER_AMOUNT_MAX ? (int64_t)n : SHM_METER_AMOUNT_MAX;
}

/* Producer. 0 or BF_E_FULL when ring and overflow are full: the caller must not have admitted the
 * request then. */
int shm_usage_push(struct shm_segment *seg, uint32_t p, const struct shm_usage_record *r);
/*
 * The same of a record that may be lost, beside held ones that may not: only while nothing
 * overflows and half of the ring is free. False: it was left out.
 */
bool shm_usage_push_spare(struct shm_segment *seg, uint32_t p, uint64_t held,
			  const struct shm_usage_record *r) BF_MUST_CHECK;
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
