/*
 * Keeps the price sheet of framework.pricing.pricing_url up to date, from within the reader: looks
 * at it when it is time or somebody asks, reads it to the end, and hands its entries to writerd.
 */
#pragma once

#include "common/net/fetch.h"
#include "common/proc/child.h"
#include "common/snapshot/holder.h"
#include "common/snapshot/prices.h"
#include "shm/segment.h"
#include "writerd/reader/price_askers.h"

#define PRICE_SYNC_MAX_BYTES  (32u << 20)
#define PRICE_SYNC_LIMIT_MS   30000
#define PRICE_SYNC_REDIRECTS  3u
#define PRICE_SYNC_PATIENCE_S 8     /* of an asker: it gives up after 10 */
#define PRICE_SYNC_RETRY_S    60u   /* after a failure, doubling to */
#define PRICE_SYNC_RETRY_MAX  3600u /* seconds */

enum price_sync_state {
	PRICE_SYNC_IDLE,
	PRICE_SYNC_FETCHES,
	PRICE_SYNC_TOLD, /* writerd looks at it */
};

struct price_sync {
	struct bf_child *child;
	struct shm_segment *seg;
	struct bf_snapshot_holder *snapshots;
	const char *url;            /* NULL: nothing is to be fetched */
	const char *path;           /* of file: */
	struct bf_fetcher *fetcher; /* of others */
	struct bf_err refusal;      /* why it cannot work at all */
	enum price_sync_state state;
	struct bf_msg_price_sheet told; /* its texts stand below */
	char etag[BF_FETCH_ETAG_MAX + 1];
	char asked_etag[BF_FETCH_ETAG_MAX + 1];
	char date[65];
	uint32_t request; /* to writerd */
	bool accept_smaller;
	int64_t not_before_ms; /* monotonic */
	uint32_t failures;     /* in a row */
	uint64_t jitter_ms;
	struct price_askers askers;
	uint64_t synced, failed;
	char last_error[BF_ERROR_MAX_BYTES];
	uint64_t whole_mark; /* bf_snapshot_price_mark() of what could be read; 0: nothing yet */
};

/* Before the sandbox. What cannot work is told in the log and to who asks. */
void price_sync_open(struct price_sync *p, struct bf_child *child, struct shm_segment *seg,
		     struct bf_snapshot_holder *snapshots);
/* What the sandbox must allow: ret_rule for a file (path NULL: none), true: TCP. */
bool price_sync_needs(struct price_sync *p, struct bf_sandbox_path *ret_rule);
void price_sync_start(struct price_sync *p);
void price_sync_stop(struct price_sync *p);

void price_sync_second(struct price_sync *p);
/* BF_MSG_PRICE_SYNC; answered when it is done, or that it is under way. */
void price_sync_ask(struct price_sync *p, const struct bf_frame *f,
		    const struct bf_msg_price_sync *m);
void price_sync_cancelled(struct price_sync *p, uint16_t asker, uint32_t request);
/* writerd's answer; code 0: it is in force. */
void price_sync_answered(struct price_sync *p, uint32_t request, int64_t code,
			 struct bf_slice text);
void price_sync_status(const struct price_sync *p, struct bf_array *items, struct bf_arena *arena);

/*
 * Is it time to look? now_ms and checked_ms by the wall clock, which may have been set anew;
 * checked_ms 0: there is none yet.
 */
bool price_sync_is_due(int64_t now_ms, int64_t checked_ms, int64_t interval_ms, int64_t jitter_ms);
/* The same of what is in force; always when that is of another address, or cannot be read, such as
 * the entries that another build packed. */
bool price_sync_wants(struct price_sync *p, const struct bf_snapshot *s, int64_t now_ms);
