/* What the kill programs kill. Never hides a return code: a refusal where there must be none ends
 * the run. */
#include "roles.h"

#include <string.h>

#include "shm/content.h"
#include "shm/inflight.h"
#include "shm/keyhealth.h"
#include "shm/metrics.h"
#include "shm/series.h"
#include "shm/slot.h"
#include "torture.h"

#define TAKE_MAX 700

/* What happens to a key tells nobody anything here: the words must only never break anything. */
static void use_key(struct worker *w, uint64_t n)
{
	static const struct shm_key_report reports[] = {
	    {SHM_KEY_OK, 200, 0}, {SHM_KEY_RATE_LIMITED, 429, 50}, {SHM_KEY_FAILED, 503, 0}};
	struct shm_key_ref key = shm_key_find(w->seg, 1 + n % 200 * 11, (int64_t)n);
	int64_t until = shm_key_cooling_until(w->seg, &key, (int64_t)n);

	TORTURE_CHECK(until <= (int64_t)n + SHM_KEY_COOL_MAX + 60000, "cools for too long");
	shm_key_report(w->seg, &key, &reports[n % 3], (int64_t)n);
}

/* Nor where its numbers are counted. */
static void use_series(struct worker *w, uint64_t n)
{
	const struct shm_series_name name = {.provider = "p", .model = {(char)('a' + n % 20)}};
	const struct shm_series_row row = {.is_ok = true, .attempts = 1};

	shm_series_add(w->seg, w->p, shm_series_find(w->seg, &name, (uint32_t)(n % 3), true), &row);
}

/* As a request that its meters refuse: it leaves no row, unless its worker dies in between. */
static void begin_and_cancel(struct worker *w, uint64_t n, const struct shm_usage_record *r)
{
	int entry;

	w->ledger->facts[n].stage = LEDGER_BEGINNING;
	entry = shm_inflight_begin(w->seg, w->p, r);
	if (entry >= 0)
		shm_inflight_cancel(w->seg, w->p, entry);
}

bool worker_begin(struct worker *w)
{
	uint64_t n =
	    w->held < ROLES_HELD_MAX ? atomic_fetch_add(&w->ledger->next, 1) : LEDGER_FACTS;
	struct shm_usage_record r;
	int entry;

	if (n >= LEDGER_FACTS)
		return false;
	torture_record(n, &r);
	if (n % 8 == 0)
		begin_and_cancel(w, n, &r);
	w->ledger->facts[n].stage = LEDGER_BEGINNING;
	entry = shm_inflight_begin(w->seg, w->p, &r);
	if (entry < 0) {
		w->ledger->facts[n].stage = LEDGER_NOTHING;
		return false;
	}
	w->ledger->facts[n].stage = LEDGER_BEGUN;
	w->entries[w->held] = entry;
	w->numbers[w->held] = n;
	w->tokens[w->held++] = 0;
	use_key(w, n);
	use_series(w, n);
	w->ledger->counted_before++;
	shm_metric_add(w->seg, w->p, SHM_M_HTTP_REQUESTS, 1);
	w->ledger->counted_after++;
	return true;
}

void worker_progress(struct worker *w, unsigned i)
{
	struct ledger_fact *f = &w->ledger->facts[w->numbers[i]];

	w->tokens[i] += 5;
	if (w->tokens[i] % 10 == 0) {
		struct shm_usage_record r;

		torture_rekey(w->numbers[i], w->tokens[i] / 10, &r);
		shm_inflight_rekey(w->seg, w->p, w->entries[i], &r);
	}
	f->tokens_announced = w->tokens[i];
	shm_inflight_progress(w->seg, w->p, w->entries[i], w->tokens[i], w->tokens[i], 0);
	f->tokens_confirmed = w->tokens[i];
}

static uint32_t push_body(struct worker *w, uint64_t n, const struct shm_usage_record *r)
{
	static uint8_t body[TORTURE_BODY_MAX];
	size_t len = torture_body(n, body);

	if (shm_content_push(w->seg, w->p, r->id, SHM_CONTENT_RESPONSE, body, len) < 0)
		return 0;
	w->ledger->facts[n].body_pushed = 1;
	return SHM_USAGE_HAS_CONTENT;
}

void worker_finish(struct worker *w, unsigned i, bool with_body)
{
	uint64_t n = w->numbers[i];
	struct shm_usage_record r;

	torture_record(n, &r);
	r.completion_tokens = w->tokens[i];
	r.status = SHM_USAGE_SUCCESS;
	if (with_body)
		r.flags |= push_body(w, n, &r);
	w->ledger->facts[n].stage = LEDGER_FINISHING;
	shm_inflight_finish(w->seg, w->p, w->entries[i], &r);
	w->ledger->facts[n].stage = LEDGER_FINISHED;
	w->held--;
	w->entries[i] = w->entries[w->held];
	w->numbers[i] = w->numbers[w->held];
	w->tokens[i] = w->tokens[w->held];
}

/* Marks every waiting body as written; returns where they end. */
static uint64_t store_bodies(struct shm_segment *seg, struct ledger *l, uint32_t p)
{
	struct shm_content c = {.end = 0};
	uint64_t end = 0;

	while (shm_content_next(seg, p, end, &c) == 1) {
		uint64_t n;

		memcpy(&n, c.id, sizeof(n));
		TORTURE_CHECK(n < LEDGER_FACTS && torture_body_is(n, c.bytes, c.len), "body %llu",
			      (unsigned long long)n);
		l->facts[n].body_seen = 1;
		end = c.end;
	}
	return end;
}

static bool take(struct shm_segment *seg, struct ledger *l, uint32_t p, size_t max)
{
	const struct shm_usage_record *records[TAKE_MAX];
	size_t n = shm_usage_peek(seg, p, records, max < TAKE_MAX ? max : TAKE_MAX);
	uint64_t bodies = store_bodies(seg, l, p);

	for (size_t i = 0; i < n; i++)
		ledger_insert(l, records[i]);
	SHM_KILLPOINT("writer_committed");
	shm_usage_release(seg, p, n);
	SHM_KILLPOINT("writer_released");
	shm_content_release(seg, p, bodies);
	return n > 0 || bodies > 0;
}

static void sweep(struct shm_segment *seg, struct ledger *l, uint32_t p)
{
	struct shm_usage_record r;

	for (int e = 0; (e = shm_inflight_sweep(seg, p, e, 1, &r)) >= 0; e++) {
		ledger_insert(l, &r);
		SHM_KILLPOINT("writer_swept_committed");
		shm_inflight_swept(seg, p, e);
	}
}

bool writer_turn(struct shm_segment *seg, struct ledger *l, size_t max)
{
	bool more = false;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		struct shm_slot_info i;

		shm_slot_info(seg, p, &i);
		if (i.state != SHM_SLOT_LIVE && i.state != SHM_SLOT_DEAD)
			continue;
		more |= take(seg, l, p, max);
		if (i.state != SHM_SLOT_DEAD)
			continue;
		more = true;
		sweep(seg, l, p);
		/* Refused while something waits: the next turn comes again. */
		(void)shm_slot_free(seg, p);
	}
	return more;
}

void writer_finish_all(struct shm_segment *seg, struct ledger *l)
{
	for (int turn = 0; turn < 100000; turn++) {
		if (!writer_turn(seg, l, TAKE_MAX))
			return;
	}
	TORTURE_CHECK(false, "some slot never gets free");
}
