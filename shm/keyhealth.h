/*
 * How providers' keys fare, shared by all workers: a key that one worker saw refused or rate
 * limited is avoided by the others. Hints, not facts: who is told a wrong thing calls a key in vain
 * or spares one for a while.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

#define SHM_KEYS         1024u
#define SHM_KEY_PROBES   64u               /* places looked at for one key */
#define SHM_KEY_IDLE_MS  INT64_C(86400000) /* unused for so long: may be taken over */
#define SHM_KEY_COOL_MAX INT64_C(3600000)  /* ms; a longer time is cut to this */
#define SHM_KEY_TOUCH_MS 60000             /* how exactly the last use is known */
#define SHM_KEY_OK_MS    1000              /* how exactly the last good answer is known */

/* A worker's way to one key. Zero is not a key. */
struct shm_key_ref {
	uint64_t identity;
	int32_t index; /* where it stood when last looked for, -1: no room */
};

enum shm_key_outcome {
	SHM_KEY_OK,
	SHM_KEY_RATE_LIMITED, /* cools for cool_ms */
	SHM_KEY_REFUSED,      /* unknown or unpaid: cools for cool_ms */
	SHM_KEY_FAILED,       /* not the key's fault, as far as one can see: counted only */
};

struct shm_key_report {
	enum shm_key_outcome outcome;
	int http_status; /* 0: no answer */
	int64_t cool_ms;
};

struct shm_key_info {
	int64_t cooling_until_mono_ms; /* 0: not cooling */
	int64_t ok_mono_ms;
	uint32_t failures;
	uint32_t http_status;
};

/*
 * Finds the entry of a key, or takes a free one, or one that was not used for a day. identity: a
 * hash by shm_segment_secret() of what names the key, so that it tells nothing. The index is -1
 * when there is no room: the key counts as healthy and is not reported about; the caller counts it.
 */
struct shm_key_ref shm_key_find(struct shm_segment *seg, uint64_t identity, int64_t now_mono_ms);

/* Looks for it again when another key took its place. */
void shm_key_report(struct shm_segment *seg, struct shm_key_ref *ref,
		    const struct shm_key_report *report, int64_t now_mono_ms);

/* 0: up. Whatever the words say, never later than SHM_KEY_COOL_MAX from now. */
int64_t shm_key_cooling_until(const struct shm_segment *seg, const struct shm_key_ref *ref,
			      int64_t now_mono_ms);
static inline bool shm_key_is_up(const struct shm_segment *seg, const struct shm_key_ref *ref,
				 int64_t now_mono_ms)
{
	return shm_key_cooling_until(seg, ref, now_mono_ms) == 0;
}
/* False: nothing is known of it. */
bool shm_key_info(const struct shm_segment *seg, const struct shm_key_ref *ref, int64_t now_mono_ms,
		  struct shm_key_info *ret_info);
