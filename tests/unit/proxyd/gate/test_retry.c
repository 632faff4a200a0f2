/* The retry table, row by row; then a property: whatever happens, it ends, within its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/gate/retry.h"

#define NOW      INT64_C(50000)
#define DEADLINE (NOW + 10000)
#define MIDDLE   (UINT64_C(200) << 32) /* jitter 1.0 */

static struct bf_conf_provider_key confs[KEY_MAX];
static struct bf_conf_provider conf = {.keys = {confs, KEY_MAX}};

static void keys_of_equal_weight(void)
{
	for (unsigned i = 0; i < KEY_MAX; i++)
		confs[i] = (struct bf_conf_provider_key){.weight_micro = 1000000, .enabled = true};
}

static struct retry begin(unsigned keys, uint64_t max_retries)
{
	const struct retry_policy policy = {max_retries, 500, 5000};
	struct key_set set = {{0}};
	struct retry r;

	for (unsigned i = 0; i < keys; i++)
		key_set_add(&set, (int)i);
	retry_begin(&r, &policy, &set, keys ? 0 : -1);
	return r;
}

static struct retry_world world(void)
{
	return (struct retry_world){
	    .conf = &conf, .now_ms = NOW, .deadline_ms = DEADLINE, .random = MIDDLE};
}

static struct retry_action after(struct retry *r, const struct retry_world *w, int status)
{
	const struct retry_event e = {status ? EXCHANGE_FAULT_STATUS : EXCHANGE_FAULT_NETWORK,
				      status, 0};

	return retry_next(r, &e, w);
}

/* One failed attempt of a fresh call. status 0: the network; -1: a fault of ours. */
static void rows_of_the_table(void **state BF_UNUSED)
{
	static const struct {
		unsigned keys;
		uint64_t max_retries;
		int status;
		enum retry_verb verb;
		int64_t wait_ms;
		int key;
		bool exhausted;
	} rows[] = {
	    {2, 1, 0, RETRY_SAME, 500, 0, false},     {2, 0, 0, RETRY_GIVE_UP, 0, 0, false},
	    {0, 1, 0, RETRY_SAME, 500, -1, false},    {2, 1, 500, RETRY_SAME, 500, 0, false},
	    {2, 1, 502, RETRY_SAME, 500, 0, false},   {2, 1, 503, RETRY_SAME, 500, 0, false},
	    {2, 1, 504, RETRY_SAME, 500, 0, false},   {2, 0, 503, RETRY_GIVE_UP, 0, 0, false},
	    {2, 9, 501, RETRY_GIVE_UP, 0, 0, false},  {2, 9, 505, RETRY_GIVE_UP, 0, 0, false},
	    {2, 0, 429, RETRY_ROTATE, 500, 1, false}, {1, 0, 429, RETRY_GIVE_UP, 0, 0, false},
	    {1, 1, 429, RETRY_SAME, 500, 0, false},   {0, 0, 429, RETRY_GIVE_UP, 0, -1, false},
	    {0, 1, 429, RETRY_SAME, 500, -1, false},  {2, 0, 401, RETRY_ROTATE, 0, 1, false},
	    {2, 0, 402, RETRY_ROTATE, 0, 1, false},   {2, 0, 403, RETRY_ROTATE, 0, 1, false},
	    {1, 5, 401, RETRY_GIVE_UP, 0, 0, true},   {0, 5, 401, RETRY_GIVE_UP, 0, -1, false},
	    {2, 5, 400, RETRY_GIVE_UP, 0, 0, false},  {2, 5, 404, RETRY_GIVE_UP, 0, 0, false},
	    {2, 5, 408, RETRY_GIVE_UP, 0, 0, false},  {2, 5, 422, RETRY_GIVE_UP, 0, 0, false},
	    {2, 5, 302, RETRY_GIVE_UP, 0, 0, false},  {2, 5, -1, RETRY_GIVE_UP, 0, 0, false},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(rows) * 2; i++) {
		size_t n = i / 2;
		struct retry r = begin(rows[n].keys, rows[n].max_retries);
		struct retry_world w = world();
		const struct retry_event ours = {EXCHANGE_FAULT_LOCAL, 503, 0};
		enum retry_verb verb = rows[n].verb;

		w.has_fallback = i % 2;
		struct retry_action a =
		    rows[n].status < 0 ? retry_next(&r, &ours, &w) : after(&r, &w, rows[n].status);
		if (verb == RETRY_GIVE_UP && w.has_fallback)
			verb = RETRY_FALLBACK;
		if (a.verb != verb || a.exhausted != rows[n].exhausted || r.key != rows[n].key)
			fail_msg("row %zu: verb %d, key %d, exhausted %d", n, a.verb, r.key,
				 a.exhausted);
		bool again = verb == RETRY_SAME || verb == RETRY_ROTATE;
		assert_int_equal(r.attempts, again ? 2 : 1);
		if (again)
			assert_int_equal(a.at_ms, NOW + rows[n].wait_ms);
	}
}

static void backoffs_double_up_to_their_bound(void **state BF_UNUSED)
{
	static const int64_t waits[] = {500, 1000, 2000, 4000, 5000, 5000};
	struct retry r = begin(1, 100);
	struct retry_world w = world();

	w.deadline_ms = 0;
	for (size_t i = 0; i < BF_ARRAY_LEN(waits); i++)
		assert_int_equal(after(&r, &w, 503).at_ms, NOW + waits[i]);
	for (int i = 0; i < 100; i++) /* no overflow, however often */
		(void)after(&r, &w, 503);
	r = begin(1, 100);
	w.random = 0;
	assert_int_equal(after(&r, &w, 0).at_ms, NOW + 400);
	w.random = UINT64_C(400) << 32;
	assert_int_equal(after(&r, &w, 0).at_ms, NOW + 1200);
}

/* Several rate limits: each key once without cost, then all again, which counts. */
static void rate_limits_go_round(void **state BF_UNUSED)
{
	struct retry r = begin(3, 1);
	struct retry_world w = world();
	struct key_set seen = {{0}};

	key_set_add(&seen, 0);
	for (int lap = 0; lap < 2; lap++) {
		for (unsigned i = lap == 0 ? 1 : 0; i < 3; i++) {
			w.random = MIDDLE + i;
			w.deadline_ms = 0;
			struct retry_action a = after(&r, &w, 429);
			assert_true(a.verb == RETRY_ROTATE || (lap == 1 && a.verb == RETRY_SAME));
			assert_false(key_set_has(&seen, r.key));
			key_set_add(&seen, r.key);
			assert_int_equal(r.retries, lap);
		}
		seen = (struct key_set){{0}};
	}
	assert_int_equal(r.attempts, 6);
	assert_int_equal(after(&r, &w, 429).verb, RETRY_GIVE_UP);
	assert_int_equal(r.attempts, retry_attempts_max(3, 1));
}

static void all_refused_is_exhausted(void **state BF_UNUSED)
{
	struct retry r = begin(KEY_MAX, 0);
	struct retry_world w = world();
	struct retry_action a = {.verb = RETRY_ROTATE};

	for (unsigned i = 0; i < KEY_MAX; i++) {
		int key = r.key;
		assert_int_equal(a.verb, RETRY_ROTATE);
		w.random = i * UINT64_C(0x9e3779b97f4a7c15);
		a = after(&r, &w, 401 + (int)(i % 3));
		assert_true(key_set_has(&r.dead, key));
	}
	assert_int_equal(a.verb, RETRY_GIVE_UP);
	assert_true(a.exhausted);
	assert_int_equal(r.attempts, KEY_MAX);
}

/* A refused key beside one that is rate limited: the wait for that one is a retry. */
static void refused_after_a_rate_limit(void **state BF_UNUSED)
{
	struct retry r = begin(2, 1);
	struct retry_world w = world();

	assert_int_equal(after(&r, &w, 429).verb, RETRY_ROTATE);
	struct retry_action a = after(&r, &w, 401);
	assert_int_equal(a.verb, RETRY_ROTATE);
	assert_int_equal(r.key, 0);
	assert_int_equal(r.retries, 1);
	assert_int_equal(a.at_ms, NOW + 1000); /* the second back-off of the call */
	a = after(&r, &w, 429);
	assert_int_equal(a.verb, RETRY_GIVE_UP);
	assert_false(a.exhausted);
	r = begin(2, 0);
	(void)after(&r, &w, 429);
	assert_true(after(&r, &w, 401).exhausted);
}

static void cooling_keys(void **state BF_UNUSED)
{
	int64_t cooling[KEY_MAX] = {0, NOW + 3000, NOW + 900};
	struct retry r = begin(3, 2);
	struct retry_world w = world();

	w.cooling_until = cooling;
	cooling[0] = NOW + 2000; /* the one that was just limited */
	struct retry_action a = after(&r, &w, 429);
	assert_int_equal(r.key, 2); /* none is up: the first that will be */
	assert_int_equal(a.at_ms, NOW + 900);
	cooling[2] = NOW + 5001;
	a = after(&r, &w, 429);
	assert_int_equal(r.key, 1);
	assert_int_equal(a.at_ms, NOW + 3000);
	cooling[0] = cooling[1] = NOW + 5001; /* beyond the longest back-off: nobody waits */
	assert_int_equal(after(&r, &w, 429).verb, RETRY_GIVE_UP);
	/* Refused: the other one at once, for how long ever it cools. */
	r = begin(2, 0);
	cooling[1] = NOW + 700000;
	a = after(&r, &w, 401);
	assert_int_equal(a.verb, RETRY_ROTATE);
	assert_int_equal(a.at_ms, NOW);
}

static void retry_after_is_kept(void **state BF_UNUSED)
{
	struct retry_event e = {EXCHANGE_FAULT_STATUS, 429, 2000};
	struct retry r = begin(1, 3);
	struct retry_world w = world();

	assert_int_equal(retry_next(&r, &e, &w).at_ms, NOW + 2000);
	e.retry_after_ms = 6000;
	assert_int_equal(retry_next(&r, &e, &w).verb, RETRY_GIVE_UP);
	r = begin(1, 3);
	e = (struct retry_event){EXCHANGE_FAULT_STATUS, 503, 3000};
	assert_int_equal(retry_next(&r, &e, &w).at_ms, NOW + 3000);
	e.retry_after_ms = 5001;
	w.has_fallback = true;
	assert_int_equal(retry_next(&r, &e, &w).verb, RETRY_FALLBACK);
}

static void nothing_begins_at_the_deadline(void **state BF_UNUSED)
{
	struct retry_world w = world();
	struct retry r = begin(2, 5);

	w.has_fallback = true;
	w.deadline_ms = NOW + 500;
	assert_int_equal(after(&r, &w, 503).verb, RETRY_FALLBACK); /* for that there is time */
	r = begin(2, 5);
	w.deadline_ms = NOW + 501;
	assert_int_equal(after(&r, &w, 503).verb, RETRY_SAME);
	r = begin(2, 5);
	w.deadline_ms = NOW;
	struct retry_action a = after(&r, &w, 401);
	assert_int_equal(a.verb, RETRY_GIVE_UP);
	assert_true(a.exhausted); /* not a 401, which would be about the client's key */
	assert_int_equal(after(&r, &w, 0).verb, RETRY_GIVE_UP);
	r = begin(2, 5);
	w.deadline_ms = 0;
	w.now_ms = INT64_MAX / 2;
	assert_int_equal(after(&r, &w, 0).verb, RETRY_SAME);
}

static uint64_t seed = 88172645463325252u;

static uint64_t roll(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % n;
}

static void one_call(void)
{
	static const int statuses[] = {0, 400, 401, 402, 403, 404, 429, 429, 429, 500, 503, 503};
	unsigned keys = (unsigned)roll(7);
	uint64_t max_retries = roll(6);
	struct retry r = begin(keys, max_retries);
	struct retry_world w = world();
	int64_t cooling[KEY_MAX] = {0};
	struct key_set refused = {{0}};

	w.cooling_until = roll(3) ? cooling : NULL;
	w.deadline_ms = roll(2) ? DEADLINE : 0;
	w.has_fallback = roll(2);
	for (uint64_t n = 1;; n++) {
		const struct retry_event e = {EXCHANGE_FAULT_STATUS,
					      statuses[roll(BF_ARRAY_LEN(statuses))],
					      roll(4) ? 0 : (int64_t)roll(8000)};
		assert_true(n <= retry_attempts_max(keys, max_retries));
		assert_int_equal(r.attempts, n);
		if (retry_is_refusal(e.http_status))
			key_set_add(&refused, r.key);
		if (r.key >= 0 && e.http_status == 429)
			cooling[r.key] = w.now_ms + e.retry_after_ms;
		w.random = roll(UINT64_MAX);
		w.now_ms += (int64_t)roll(300);
		struct retry_action a = retry_next(&r, &e, &w);
		if (a.verb == RETRY_FALLBACK || a.verb == RETRY_GIVE_UP) {
			assert_true(w.has_fallback || a.verb == RETRY_GIVE_UP);
			assert_true(!a.exhausted || keys > 0);
			return;
		}
		assert_true(keys ? key_set_has(&r.candidates, r.key) : r.key == -1);
		assert_false(key_set_has(&refused, r.key));
		assert_true(a.at_ms >= w.now_ms && a.at_ms <= w.now_ms + 6000);
		assert_true(!w.deadline_ms || a.at_ms < w.deadline_ms);
		w.now_ms = a.at_ms;
	}
}

static void whatever_happens_it_ends(void **state BF_UNUSED)
{
	for (int i = 0; i < 200000; i++)
		one_call();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_of_the_table),
	    cmocka_unit_test(backoffs_double_up_to_their_bound),
	    cmocka_unit_test(rate_limits_go_round),
	    cmocka_unit_test(all_refused_is_exhausted),
	    cmocka_unit_test(refused_after_a_rate_limit),
	    cmocka_unit_test(cooling_keys),
	    cmocka_unit_test(retry_after_is_kept),
	    cmocka_unit_test(nothing_begins_at_the_deadline),
	    cmocka_unit_test(whatever_happens_it_ends),
	};

	keys_of_equal_weight();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
