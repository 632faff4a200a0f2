/* In-flight table: bounds, the room promised at admission, and the sweep with its repetitions. */
#include "fixture.h"

#include "shm/content.h"
#include "shm/inflight.h"
#include "shm/meter.h"

static int begin(struct fixture *f, uint64_t n)
{
	struct shm_usage_record r = fixture_record(n);

	return shm_inflight_begin(&f->seg, f->p, &r);
}

static void drain(struct fixture *f)
{
	const struct shm_usage_record *records[64];
	size_t n;

	while ((n = shm_usage_peek(&f->seg, f->p, records, 64)) > 0)
		shm_usage_release(&f->seg, f->p, n);
}

static void all_entries_then_none(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < (int)SHM_INFLIGHT_ENTRIES; i++)
		assert_int_equal(begin(f, (uint64_t)i), i);
	assert_int_equal(begin(f, 1), -1);
	assert_int_equal(shm_inflight_count(&f->seg, f->p), SHM_INFLIGHT_ENTRIES);
	assert_int_equal(shm_segment_valid(&f->seg, NULL), 0);
	for (int i = 0; i < (int)SHM_INFLIGHT_ENTRIES; i += 2) {
		struct shm_usage_record r = fixture_record((uint64_t)i);

		shm_inflight_finish(&f->seg, f->p, i, &r);
	}
	assert_int_equal(shm_inflight_count(&f->seg, f->p), SHM_INFLIGHT_ENTRIES / 2);
	assert_int_equal(begin(f, 5), 0);
	assert_int_equal(begin(f, 6), 2);
}

/* Admission keeps one record for every held request: the last finish still finds room. */
static void begin_refuses_what_the_ring_could_not_keep(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r = fixture_record(1);
	int held[4];
	int n = 0;

	while (shm_usage_room(&f->seg, f->p) > 3)
		assert_int_equal(shm_usage_push(&f->seg, f->p, &r), 0);
	while (n < 4 && (held[n] = begin(f, 2)) >= 0)
		n++;
	assert_int_equal(n, 3);
	for (int i = 0; i < 3; i++)
		shm_inflight_finish(&f->seg, f->p, held[i], &r);
	assert_int_equal(shm_usage_room(&f->seg, f->p), 0);
	assert_int_equal(begin(f, 2), -1);
	drain(f);
	assert_true(begin(f, 2) >= 0);
}

static void sweep_only_what_is_dead_and_drained(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r = fixture_record(9), got;

	(void)begin(f, 1);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 0, &got), -1); /* it lives */
	assert_int_equal(shm_usage_push(&f->seg, f->p, &r), 0);
	shm_slot_dead(&f->seg, f->p);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 0, &got), -1); /* ring first */
	assert_int_equal(shm_slot_free(&f->seg, f->p), BF_E_STATE);
	drain(f);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 0, &got), 0);
	assert_int_equal(shm_slot_free(&f->seg, f->p), BF_E_STATE);
	shm_inflight_swept(&f->seg, f->p, 0);
	assert_int_equal(shm_slot_free(&f->seg, f->p), 0);
}

static void swept_record_says_what_happened(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r = fixture_record(4), got;
	int i;

	r.started_wall_ns = 1000000000;
	r.flags = SHM_USAGE_STREAM;
	memset(r.virtual_key_id, 'k', sizeof(r.virtual_key_id));
	memset(r.virtual_key_name, 'n', sizeof(r.virtual_key_name));
	memset(r.team_id, 't', sizeof(r.team_id));
	memset(r.customer_id, 'c', sizeof(r.customer_id));
	i = shm_inflight_begin(&f->seg, f->p, &r);
	shm_inflight_progress(&f->seg, f->p, i, 100, 7, SHM_USAGE_STREAM);
	shm_slot_dead(&f->seg, f->p);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, -5, 3000000000, &got), i);
	assert_memory_equal(got.id, r.id, 16);
	assert_string_equal(got.model, r.model);
	assert_memory_equal(got.virtual_key_id, r.virtual_key_id, sizeof(r.virtual_key_id));
	assert_memory_equal(got.virtual_key_name, r.virtual_key_name, sizeof(r.virtual_key_name));
	assert_memory_equal(got.team_id, r.team_id, sizeof(r.team_id));
	assert_memory_equal(got.customer_id, r.customer_id, sizeof(r.customer_id));
	assert_int_equal(got.prompt_tokens, 100);
	assert_int_equal(got.completion_tokens, 12); /* what was there at begin is more */
	assert_int_equal(got.flags, SHM_USAGE_STREAM | SHM_USAGE_CRASHED | SHM_USAGE_ESTIMATED);
	assert_int_equal(got.status, SHM_USAGE_ERROR);
	assert_int_equal(got.latency_us, 2000000);
	assert_string_equal(got.error_type, "worker_crashed");
	assert_true(strlen(got.error_text) < sizeof(got.error_text));
	/* a clock that stepped back makes no negative latency */
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 5, &got), i);
	assert_int_equal(got.latency_us, 0);
}

/* What nobody reserved money for costs what was seen; the next holder of the entry has no price. */
static void a_swept_row_costs_what_was_seen(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r = fixture_record(4), got;
	int i;

	r.prompt_tokens = r.completion_tokens = 0;
	r.cost_nusd = 0;
	i = shm_inflight_begin(&f->seg, f->p, &r);
	shm_inflight_price(&f->seg, f->p, i, 1, 1);
	shm_inflight_cancel(&f->seg, f->p, i);
	assert_int_equal(shm_inflight_begin(&f->seg, f->p, &r), i);
	r = fixture_record(5);
	r.prompt_tokens = r.completion_tokens = 0;
	r.cost_nusd = 0;
	int priced = shm_inflight_begin(&f->seg, f->p, &r);
	shm_inflight_price(&f->seg, f->p, priced, 1500, 2001);
	shm_inflight_progress(&f->seg, f->p, i, 100, 7, 0);
	shm_inflight_progress(&f->seg, f->p, priced, 100, 7, 0);
	shm_slot_dead(&f->seg, f->p);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 5, &got), i);
	assert_int_equal(got.cost_nusd, 0);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, i + 1, 5, &got), priced);
	assert_int_equal(got.cost_nusd, 164); /* 150 + 14.007 */
}

/* A worker that died with its second or third key: the row names the one it was with. */
static void a_swept_row_names_the_last_key(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r = fixture_record(1), got;

	(void)strcpy(r.key_name, "first");
	(void)strcpy(r.key_id, "id-1");
	r.attempts = 1;
	for (int i = 0; i < 4; i++)
		assert_int_equal(shm_inflight_begin(&f->seg, f->p, &r), i);
	for (uint32_t k = 2; k <= 4; k++) {
		(void)snprintf(r.key_name, sizeof(r.key_name), "key %u", k);
		(void)snprintf(r.key_id, sizeof(r.key_id), "id-%u", k);
		r.attempts = k;
		for (int i = 1; i <= 4 - (int)k + 1; i++)
			shm_inflight_rekey(&f->seg, f->p, i, &r);
	}
	f->seg.map->stores[f->p].inflight[2].keys[0].key_name[0] = 'x'; /* half of the next one */
	shm_slot_dead(&f->seg, f->p);
	static const char *const names[] = {"first", "key 4", "key 3", "key 2"};
	for (int i = 0; i < 4; i++) {
		assert_int_equal(shm_inflight_sweep(&f->seg, f->p, i, 0, &got), i);
		assert_string_equal(got.key_name, names[i]);
		assert_int_equal(got.attempts, i == 0 ? 1 : 5 - i);
	}
	/* Entries are used again: an old key must not come back. */
	assert_int_equal(f->seg.map->stores[f->p].inflight[1].key_now != 0, 1);
	f->seg.map->stores[f->p].inflight[1].key_now = 77; /* mo: one thread here */
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 1, 0, &got), 1);
	assert_string_equal(got.key_name, "first");
}

static void an_entry_used_again_forgets_its_key(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r = fixture_record(1), got;

	assert_int_equal(begin(f, 1), 0);
	(void)strcpy(r.key_name, "old");
	shm_inflight_rekey(&f->seg, f->p, 0, &r);
	shm_inflight_finish(&f->seg, f->p, 0, &r);
	assert_int_equal(begin(f, 2), 0);
	drain(f);
	shm_slot_dead(&f->seg, f->p);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 0, &got), 0);
	assert_string_equal(got.key_name, "");
	assert_int_equal(got.attempts, 0);
}

static void sweep_repeats_until_swept(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record a, b;
	const int holes[] = {0, 1, 63, 64, 65, 127, 128, 300, 699};
	size_t next = 0;

	for (uint64_t i = 0; i < 700; i++)
		(void)begin(f, i);
	for (int i = 0, h = 0; i < 700; i++) {
		struct shm_usage_record r = fixture_record((uint64_t)i);

		if (h < 9 && i == holes[h])
			h++;
		else
			shm_inflight_finish(&f->seg, f->p, i, &r);
	}
	drain(f);
	shm_slot_dead(&f->seg, f->p);
	for (int from = 0;; next++) {
		int e = shm_inflight_sweep(&f->seg, f->p, from, 10, &a);

		if (e < 0)
			break;
		assert_int_equal(e, holes[next]);
		assert_int_equal(shm_inflight_sweep(&f->seg, f->p, from, 10, &b),
				 e); /* killed before swept */
		assert_memory_equal(&a, &b, sizeof(a));
		if (next % 2)
			shm_inflight_swept(&f->seg, f->p, e);
		from = e + 1;
	}
	assert_int_equal(next, 9);
	assert_int_equal(shm_inflight_count(&f->seg, f->p), 5);
	for (int e; (e = shm_inflight_sweep(&f->seg, f->p, 0, 10, &a)) >= 0;)
		shm_inflight_swept(&f->seg, f->p, e);
	assert_int_equal(shm_slot_free(&f->seg, f->p), 0);
}

/* The next holder of the slot starts with an empty table and pages that were given back. */
static void a_freed_slot_is_as_new(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r;
	size_t before = fixture_touched(f);
	const uint8_t id[16] = {1};

	for (int life = 0; life < 5; life++) {
		for (uint64_t i = 0; i < 2000; i++)
			assert_true(begin(f, i) >= 0);
		assert_int_equal(shm_content_push(&f->seg, f->p, id, SHM_CONTENT_REQUEST, "x", 1),
				 0);
		assert_true(fixture_touched(f) > before + 2000 * sizeof(struct shm_inflight_entry));
		shm_slot_dead(&f->seg, f->p);
		for (int e; (e = shm_inflight_sweep(&f->seg, f->p, 0, 10, &r)) >= 0;)
			shm_inflight_swept(&f->seg, f->p, e);
		assert_int_equal(shm_slot_free(&f->seg, f->p), BF_E_STATE); /* a body waits */
		shm_content_release(&f->seg, f->p, (uint64_t)(life + 1) * 128);
		assert_int_equal(shm_slot_free(&f->seg, f->p), 0);
		assert_int_equal(fixture_touched(f), before);
		assert_int_equal(shm_slot_assign(&f->seg, 2, 0), 0);
		assert_int_equal(shm_slot_enter(&f->seg, 0, 7, 1, 1), 0);
		assert_int_equal(shm_inflight_count(&f->seg, f->p), 0);
	}
}

static void impossible_words_are_found(void **state)
{
	struct fixture *f = *state;
	struct shm_desk *d = &f->seg.map->desks[f->p];
	struct bf_err err;

	d->held_bits[5] = 1; /* mo: one thread here */
	assert_int_equal(shm_segment_valid(&f->seg, &err), BF_E_CORRUPT);
	assert_non_null(strstr(err.text, "in-flight table"));
	d->words_used = 4000000; /* mo: one thread here */
	assert_int_equal(shm_segment_valid(&f->seg, &err), BF_E_CORRUPT);
	assert_int_equal(shm_inflight_count(&f->seg, f->p),
			 1); /* and nothing is read beyond the table */
}

static void a_cancelled_request_never_was(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record got;

	assert_int_equal(begin(f, 1), 0);
	assert_int_equal(begin(f, 2), 1);
	shm_inflight_cancel(&f->seg, f->p, 0);
	assert_int_equal(shm_inflight_count(&f->seg, f->p), 1);
	assert_int_equal(shm_usage_waiting(&f->seg, f->p), 0);
	shm_slot_dead(&f->seg, f->p);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 0, &got), 1);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 2, 0, &got), -1);
}

/* What is written only at the end of a request is not what the last one left in the entry. */
static void a_swept_row_has_nothing_of_another_request(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r, got;

	memset(&r, 'x', sizeof(r));
	r.meter_count = 0;
	assert_int_equal(shm_inflight_begin(&f->seg, f->p, &r), 0);
	memset(&f->seg.map->stores[f->p].inflight[0].record, 'y', sizeof(r));
	shm_inflight_finish(&f->seg, f->p, 0, &r);
	assert_int_equal(begin(f, 7), 0);
	drain(f);
	shm_slot_dead(&f->seg, f->p);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 0, &got), 0);
	r = fixture_record(7);
	r.flags = got.flags;
	r.status = got.status;
	memcpy(r.error_type, got.error_type, sizeof(r.error_type));
	memcpy(r.error_text, got.error_text, sizeof(r.error_text));
	assert_memory_equal(&got, &r, sizeof(r));
}

/* ---- with meters: four of them, one of each quantity */

static const uint32_t quantities[4] = {SHM_METER_REQUESTS, SHM_METER_TOKENS, SHM_METER_CONCURRENT,
				       SHM_METER_NUSD};
static struct shm_meter_want wants[4] = {
    {.amount = 1}, {.amount = 50}, {.amount = 1}, {.amount = 700}};

static void open_meters(struct fixture *f, struct shm_meter_writer *w)
{
	for (uint32_t k = 0; k < 4; k++) {
		uint64_t identity = 1000 + k;
		bool fresh;

		assert_int_equal(shm_meter_place(&f->seg, identity, &wants[k].meter, &fresh), 0);
		wants[k].epoch = 30 + k;
		wants[k].config =
		    shm_meter_configure(&f->seg, wants[k].meter, 5000, false, true, 30 + k);
		shm_meter_open(&f->seg, wants[k].meter, identity, quantities[k]);
	}
	shm_meter_enter(w, &f->seg, f->p);
}

static void worth(struct fixture *f, int64_t requests, int64_t tokens, int64_t running,
		  int64_t nusd)
{
	const int64_t want[4] = {requests, tokens, running, nusd};

	for (int k = 0; k < 4; k++) {
		struct shm_meter_info info;
		assert_true(shm_meter_read(&f->seg, wants[k].meter, &info));
		assert_int_equal(info.value, want[k]);
	}
}

static void charged(const struct shm_usage_record *r, uint32_t requests, uint64_t tokens,
		    int64_t nusd)
{
	assert_int_equal(r->meter_count, 4);
	assert_int_equal(r->requests_charged, requests);
	assert_int_equal(r->tokens_charged, tokens);
	assert_int_equal(r->cost_nusd, nusd);
	for (uint32_t k = 0; k < 4; k++) {
		assert_int_equal(r->meters[k], wants[k].meter);
		assert_int_equal(r->epochs[k], 30 + k);
	}
}

static int admitted(struct fixture *f, struct shm_meter_writer *w)
{
	int i = begin(f, 9);
	unsigned which;

	assert_int_equal(shm_meter_admit(w, i, wants, 4, &which), SHM_METER_OK);
	return i;
}

static void what_was_held_at_death_stays_charged(void **state)
{
	struct fixture *f = *state;
	const int64_t more[4] = {0, 25, 0, 300};
	struct shm_usage_record got, again;
	struct shm_meter_writer w;
	unsigned which;
	int i;

	open_meters(f, &w);
	i = admitted(f, &w);
	assert_int_equal(shm_meter_extend(&w, i, more, NULL, &which), SHM_METER_OK);
	shm_slot_dead(&f->seg, f->p);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 5, &got), i);
	charged(&got, 1, 75, 1000);
	worth(f, 1, 75, 1, 1000);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 5, &again), i);
	assert_memory_equal(&got, &again, sizeof(got));
	/* The row is committed: now the meters say so too. */
	shm_inflight_swept(&f->seg, f->p, i);
	worth(f, 1, 75, 0, 1000);
	assert_int_equal(shm_slot_free(&f->seg, f->p), 0);
}

static void what_was_said_before_death_is_charged(void **state)
{
	struct fixture *f = *state;
	const int64_t actual[4] = {1, 80, 0, 640};
	struct shm_usage_record got;
	struct shm_meter_writer w;

	open_meters(f, &w);
	for (int n = 0; n < 3; n++)
		assert_int_equal(admitted(f, &w), n);
	worth(f, 3, 150, 3, 2100);
	shm_meter_closing(&w, 0, actual);
	shm_meter_closing(&w, 1, actual);
	shm_meter_close(&w, 1);
	worth(f, 3, 180, 2, 2040);
	shm_slot_dead(&f->seg, f->p);
	for (int n = 0; n < 2; n++) {
		assert_int_equal(shm_inflight_sweep(&f->seg, f->p, n, 5, &got), n);
		charged(&got, 1, 80, 640);
	}
	for (int n; (n = shm_inflight_sweep(&f->seg, f->p, 0, 5, &got)) >= 0;)
		shm_inflight_swept(&f->seg, f->p, n);
	worth(f, 3, 210, 0, 1980);
}

static void what_was_not_reserved_is_not_charged(void **state)
{
	struct fixture *f = *state;
	const int64_t actual[4] = {1, 2, 0, 3};
	struct shm_usage_record r = fixture_record(3), got;
	struct shm_meter_writer w;
	unsigned which;

	open_meters(f, &w);
	/* An entry that another request left settled, and one that was refused. */
	assert_int_equal(admitted(f, &w), 0);
	shm_meter_closing(&w, 0, actual);
	shm_inflight_push(&f->seg, f->p, 0, &r);
	shm_meter_close(&w, 0);
	shm_inflight_end(&f->seg, f->p, 0);
	assert_int_equal(begin(f, 4), 0);
	assert_int_equal(begin(f, 5), 1);
	wants[3].amount = 5000;
	assert_int_equal(shm_meter_admit(&w, 1, wants, 4, &which), SHM_METER_REFUSED);
	wants[3].amount = 700;
	drain(f);
	shm_slot_dead(&f->seg, f->p);
	for (int n = 0; n < 2; n++) {
		assert_int_equal(shm_inflight_sweep(&f->seg, f->p, n, 5, &got), n);
		assert_int_equal(got.meter_count, 0);
		assert_int_equal(got.requests_charged, 0);
		assert_int_equal(got.tokens_charged, 0);
		shm_inflight_swept(&f->seg, f->p, n);
	}
	worth(f, 1, 2, 0, 3);
}

/* Died in the middle of a reservation: the sweep finds out before it says anything. */
static void half_a_reservation_is_taken_back_first(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record got;
	struct shm_meter_writer w;
	uint64_t progress;
	int i;

	open_meters(f, &w);
	i = admitted(f, &w);
	/* As if it had died before it said HELD: phase, entry and count of the last step. */
	progress = atomic_load(&f->seg.map->slots[f->p].progress);
	atomic_store(&f->seg.map->slots[f->p].progress,
		     progress | UINT64_C(1) << 62 | UINT64_C(4) << 43 | UINT64_C(4) << 37);
	atomic_store(&f->seg.map->stores[f->p].inflight[i].meter_state, SHM_METER_NONE);
	worth(f, 1, 50, 1, 700);
	shm_slot_dead(&f->seg, f->p);
	assert_int_equal(shm_inflight_sweep(&f->seg, f->p, 0, 5, &got), i);
	assert_int_equal(got.meter_count, 0);
	worth(f, 0, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(all_entries_then_none),
	    FIXTURE_TEST(begin_refuses_what_the_ring_could_not_keep),
	    FIXTURE_TEST(sweep_only_what_is_dead_and_drained),
	    FIXTURE_TEST(swept_record_says_what_happened),
	    FIXTURE_TEST(a_swept_row_costs_what_was_seen),
	    FIXTURE_TEST(a_swept_row_names_the_last_key),
	    FIXTURE_TEST(an_entry_used_again_forgets_its_key),
	    FIXTURE_TEST(sweep_repeats_until_swept),
	    FIXTURE_TEST(a_freed_slot_is_as_new),
	    FIXTURE_TEST(impossible_words_are_found),
	    FIXTURE_TEST(a_cancelled_request_never_was),
	    FIXTURE_TEST(a_swept_row_has_nothing_of_another_request),
	    FIXTURE_TEST(what_was_held_at_death_stays_charged),
	    FIXTURE_TEST(what_was_said_before_death_is_charged),
	    FIXTURE_TEST(what_was_not_reserved_is_not_charged),
	    FIXTURE_TEST(half_a_reservation_is_taken_back_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
