/*
 * Every byte of the segment: included by shm/ alone. Rules: zero is the initial state of
 * everything; a cache line has one writer at a time; offsets, never pointers; tables that may stay
 * untouched lie apart from words that are always read, because on a tmpfs even a read through a
 * shared mapping takes a page. Tables are appended at the end, words take reserved room: a change
 * of meaning or place raises SHM_LAYOUT_VERSION.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/content.h"
#include "shm/inflight_layout.h"
#include "shm/keyhealth.h"
#include "shm/meter_layout.h"
#include "shm/metrics.h"
#include "shm/segment.h"
#include "shm/series_layout.h"
#include "shm/usage.h"
#include "shm/wall_layout.h"

#define SHM_LINE       64u
#define SHM_MAGIC      UINT64_C(0x3153544f52464942) /* "BIFROTS1", little-endian */
#define SHM_BYTE_ORDER 0x01020304u
#define SHM_CHUNK_BYTES \
	65536u /* unit of giving pages back: a multiple of every page size we run on */
#define SHM_INFLIGHT_WORDS (SHM_INFLIGHT_ENTRIES / 64u)

#define SHM_SIZE(type, size) \
	_Static_assert(sizeof(struct type) == (size), "layout 5: size of " #type)
#define SHM_AT(type, member, offset) \
	_Static_assert(offsetof(struct type, member) == (offset), "layout 5: " #type "." #member)

_Static_assert(sizeof(size_t) == 8, "the segment needs a 64-bit address space");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && sizeof(long long) == 8,
	       "64-bit atomics without locks");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && sizeof(int) == 4, "32-bit atomics without locks");

/* First page. The first line is written once, the magic last: a file without it was never finished.
 */
struct shm_header {
	_Atomic uint64_t magic;
	uint32_t layout_version;
	uint32_t byte_order;
	uint64_t size_bytes;
	int64_t created_wall_ns;
	uint8_t boot_id[16];
	uint32_t proc_slots;
	uint32_t usage_record_bytes;
	uint32_t inflight_entries;
	uint32_t content_ring_bytes;
	/* supervisor's line */
	_Atomic uint64_t generation; /* current config snapshot */
	_Atomic uint32_t draining;
	uint8_t reserved0[52];
	/* line of the doorbell: odd while writerd sleeps */
	_Atomic uint64_t doorbell;
	uint8_t reserved1[56];
	uint8_t secret[16]; /* random, written once: key of the hashes that stand in the segment */
	uint8_t reserved2[48];
	struct shm_wall_words wall; /* supervisor's */
	uint8_t reserved3[3712];
};
SHM_SIZE(shm_header, 4096);
SHM_SIZE(shm_wall_words, 128);
SHM_AT(shm_header, magic, 0);
SHM_AT(shm_header, layout_version, 8);
SHM_AT(shm_header, byte_order, 12);
SHM_AT(shm_header, size_bytes, 16);
SHM_AT(shm_header, created_wall_ns, 24);
SHM_AT(shm_header, boot_id, 32);
SHM_AT(shm_header, proc_slots, 48);
SHM_AT(shm_header, usage_record_bytes, 52);
SHM_AT(shm_header, inflight_entries, 56);
SHM_AT(shm_header, content_ring_bytes, 60);
SHM_AT(shm_header, generation, 64);
SHM_AT(shm_header, draining, 72);
SHM_AT(shm_header, doorbell, 128);
SHM_AT(shm_header, secret, 192);
SHM_AT(shm_header, wall, 256);
SHM_AT(shm_header, reserved3, 384);

/* A process slot. The identity outlives its holders: nothing here is ever zeroed but what the next
 * holder writes anew. */
struct shm_slot {
	/* supervisor's line; the state word moves by compare-and-swap, see slot.c */
	_Atomic uint64_t state; /* incarnation << 8 | enum shm_slot_state */
	_Atomic uint32_t role;
	_Atomic uint32_t index;
	_Atomic uint32_t forked_pid; /* 0 until the supervisor knows it */
	uint8_t reserved0[44];
	/* holder's line */
	_Atomic int64_t heartbeat_mono_ns;
	_Atomic int64_t started_wall_ns;
	_Atomic uint64_t health; /* 1 << enum shm_health_bit */
	_Atomic uint32_t pid;    /* as the holder gave it */
	uint8_t reserved1[36];
	/* meters: the note, which others read, in a line pair of its own; then
	 * progress, the holder's alone */
	_Atomic uint64_t note;
	uint8_t reserved_note[120];
	_Atomic uint64_t progress;
	uint8_t reserved_progress[56];
	uint8_t reserved2[192];
};
SHM_SIZE(shm_slot, 512);
SHM_AT(shm_slot, state, 0);
SHM_AT(shm_slot, role, 8);
SHM_AT(shm_slot, index, 12);
SHM_AT(shm_slot, forked_pid, 16);
SHM_AT(shm_slot, heartbeat_mono_ns, 64);
SHM_AT(shm_slot, started_wall_ns, 72);
SHM_AT(shm_slot, health, 80);
SHM_AT(shm_slot, pid, 88);
SHM_AT(shm_slot, note, 128);
SHM_AT(shm_slot, progress, 256);
SHM_AT(shm_slot, reserved2, 320);

/* Control words of a ring: positions count up for ever, freed <= head <= tail <= freed + capacity.
 */
struct shm_ring {
	/* producer's line */
	_Atomic uint64_t tail;    /* next position to write */
	_Atomic uint64_t dropped; /* items the producer gave up on */
	_Atomic uint64_t ready;   /* positions below are backed by memory */
	uint8_t reserved0[40];
	/* consumer's line */
	_Atomic uint64_t head;  /* oldest position not released */
	_Atomic uint64_t freed; /* positions below may be written again */
	_Atomic uint64_t
	    damaged; /* times the consumer had to skip what no producer of ours writes */
	uint8_t reserved1[40];
};
SHM_SIZE(shm_ring, 128);
SHM_AT(shm_ring, tail, 0);
SHM_AT(shm_ring, dropped, 8);
SHM_AT(shm_ring, ready, 16);
SHM_AT(shm_ring, head, 64);
SHM_AT(shm_ring, freed, 72);
SHM_AT(shm_ring, damaged, 80);

/* What every scan of a used slot reads: two pages per slot, untouched while the slot was never
 * held. */
struct shm_desk {
	struct shm_ring usage;
	struct shm_ring overflow;
	struct shm_ring content;
	/* holder's line, then the sweeper's: who may write changes hands with the slot's state */
	_Atomic uint32_t held;       /* entries held, the holder's own count */
	_Atomic uint32_t words_used; /* words of held_bits that were ever set */
	uint8_t reserved0[120];
	uint8_t reserved1[512];
	_Atomic uint64_t held_bits[SHM_INFLIGHT_WORDS];
	uint8_t reserved2[2048];
	/* metric shard: value is what this identity counted since the segment began, base the part
	 * of earlier holders */
	_Atomic int64_t value[SHM_METRIC_SPACE];
	_Atomic int64_t base[SHM_METRIC_SPACE];
};
SHM_SIZE(shm_desk, 8192);
SHM_AT(shm_desk, usage, 0);
SHM_AT(shm_desk, overflow, 128);
SHM_AT(shm_desk, content, 256);
SHM_AT(shm_desk, held, 384);
SHM_AT(shm_desk, words_used, 388);
SHM_AT(shm_desk, held_bits, 1024);
SHM_AT(shm_desk, reserved2, 2048);
SHM_AT(shm_desk, value, 4096);
SHM_AT(shm_desk, base, 6144);

SHM_SIZE(shm_inflight_key, 128);
SHM_SIZE(shm_inflight_entry, 4096);
SHM_AT(shm_inflight_entry, prompt_tokens, 0);
SHM_AT(shm_inflight_entry, completion_tokens, 8);
SHM_AT(shm_inflight_entry, started_wall_ns, 16);
SHM_AT(shm_inflight_entry, flags, 24);
SHM_AT(shm_inflight_entry, record, 64);
SHM_AT(shm_inflight_entry, meter_state, 28);
SHM_AT(shm_inflight_entry, meters, 1728);
SHM_AT(shm_inflight_entry, input_pusd, 3328);
SHM_AT(shm_inflight_entry, reserved_prices, 3344);
SHM_AT(shm_inflight_entry, key_now, 3520);
SHM_AT(shm_inflight_entry, keys, 3584);
SHM_AT(shm_inflight_entry, reserved2, 3840);

/*
 * How a provider's key fares: the one place that all workers write. Every word is a hint that
 * stands for itself; see keyhealth.c.
 */
struct shm_key {
	_Atomic uint64_t identity; /* keyed hash; 0: free; never freed again, only taken over */
	_Atomic int64_t used_mono_ms;
	_Atomic int64_t cooling_until_mono_ms; /* 0: not cooling */
	_Atomic int64_t ok_mono_ms;            /* last good answer */
	_Atomic uint32_t failures;             /* since the last good answer */
	_Atomic uint32_t http_status;          /* of the last answer; 0: there was none */
	uint8_t reserved[24];
};
SHM_SIZE(shm_key, 64);
SHM_AT(shm_key, identity, 0);
SHM_AT(shm_key, used_mono_ms, 8);
SHM_AT(shm_key, cooling_until_mono_ms, 16);
SHM_AT(shm_key, ok_mono_ms, 24);
SHM_AT(shm_key, failures, 32);
SHM_AT(shm_key, http_status, 36);

SHM_SIZE(shm_meter, 128);
SHM_AT(shm_meter, word, 0);
SHM_AT(shm_meter, config, 16);
SHM_AT(shm_meter, limit, 24);
SHM_AT(shm_meter, remote, 32);
SHM_AT(shm_meter, allowance, 48);
SHM_AT(shm_meter, settled, 64);
SHM_AT(shm_meter, owner, 80);
SHM_AT(shm_meter, claim, 88);
SHM_AT(shm_meter, place, 96);
SHM_AT(shm_meter, quantity, 100);
SHM_SIZE(shm_meter_map, 4096);

/* Header of an item of the content ring; items are contiguous and 64-byte aligned. */
struct shm_content_item {
	uint32_t kind; /* enum shm_content_kind, or SHM_CONTENT_WRAP */
	uint32_t len;
	uint8_t id[16];
	uint64_t position; /* where the item stands: a check against damage */
	uint8_t reserved[32];
};
SHM_SIZE(shm_content_item, 64);
SHM_AT(shm_content_item, kind, 0);
SHM_AT(shm_content_item, len, 4);
SHM_AT(shm_content_item, id, 8);
SHM_AT(shm_content_item, position, 24);

/* Bulk of one slot. */
struct shm_store {
	struct shm_usage_record usage[SHM_USAGE_RING_RECORDS];
	struct shm_usage_record overflow[SHM_USAGE_OVERFLOW_RECORDS];
	uint8_t content[SHM_CONTENT_RING_BYTES];
	struct shm_inflight_entry inflight[SHM_INFLIGHT_ENTRIES];
};
SHM_SIZE(shm_store, 153616384);
SHM_AT(shm_store, usage, 0);
SHM_AT(shm_store, overflow, 6815744);
SHM_AT(shm_store, content, 115867648);
SHM_AT(shm_store, inflight, 120061952);
_Static_assert(sizeof(struct shm_store) % SHM_CHUNK_BYTES == 0, "stores are chunk-aligned");
_Static_assert(offsetof(struct shm_store, overflow) % SHM_CHUNK_BYTES == 0, "chunk-aligned");
_Static_assert(offsetof(struct shm_store, content) % SHM_CHUNK_BYTES == 0, "chunk-aligned");
_Static_assert(offsetof(struct shm_store, inflight) % SHM_CHUNK_BYTES == 0, "chunk-aligned");

struct shm_layout {
	struct shm_header header;
	struct shm_slot slots[SHM_PROC_SLOTS];
	uint8_t reserved0[28672];
	struct shm_desk desks[SHM_PROC_SLOTS];
	struct shm_key keys[SHM_KEYS];
	struct shm_meter_map meter_map;
	uint8_t reserved1[389120];
	struct shm_meter meters[SHM_METERS];
	struct shm_store stores[SHM_PROC_SLOTS];
	struct shm_series_place series_places[SHM_SERIES];
	struct shm_series_shard series[SHM_PROC_SLOTS];
};
SHM_SIZE(shm_layout, UINT64_C(1048576) + 64 * UINT64_C(153616384) + UINT64_C(134217728) + 1114112);
SHM_AT(shm_layout, header, 0);
SHM_AT(shm_layout, slots, 4096);
SHM_AT(shm_layout, desks, 65536);
SHM_AT(shm_layout, keys, 589824);
SHM_AT(shm_layout, meter_map, 655360);
SHM_AT(shm_layout, meters, 1048576);
SHM_AT(shm_layout, stores, 1048576 + 134217728);
SHM_AT(shm_layout, series_places, 1048576 + 134217728 + 64 * sizeof(struct shm_store));
