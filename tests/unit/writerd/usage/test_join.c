/* Bodies to records, where the ring is hostile or damaged. */
#include "tests/unit/writerd/crafted.h"

#include "writerd/usage/join.h"

static struct crafted c;
static uint32_t p;

static int setup(void **state)
{
	(void)state;
	crafted_init(&c);
	p = crafted_worker(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	crafted_done(&c);
	return 0;
}

static void an_empty_ring(void **state)
{
	struct join j = {0};

	(void)state;
	assert_int_equal(join_content(&c.seg, p, &j, NULL, 0, 0), 0);
	join_discard(&c.seg, p);
}

static void the_last_body_of_a_kind_wins(void **state)
{
	struct shm_usage_record record = crafted_record(1);
	struct store_item item = {.record = &record};
	struct join j = {0};
	uint64_t end;

	(void)state;
	crafted_body(&c, p, 1, SHM_CONTENT_REQUEST, "first");
	crafted_body(&c, p, 1, SHM_CONTENT_REQUEST, "second");
	end = join_content(&c.seg, p, &j, &item, 1, 0);
	assert_true(bf_slice_is(item.input, "second"));
	assert_null(item.output.ptr);
	shm_content_release(&c.seg, p, end);
	assert_int_equal(shm_content_waiting_bytes(&c.seg, p), 0);
}

static void an_empty_body_is_a_body(void **state)
{
	struct shm_usage_record record = crafted_record(1);
	struct store_item item = {.record = &record};
	struct join j = {0};

	(void)state;
	crafted_body(&c, p, 1, SHM_CONTENT_RESPONSE, "");
	assert_true(join_content(&c.seg, p, &j, &item, 1, 0) > 0);
	assert_non_null(item.output.ptr);
	assert_int_equal(item.output.len, 0);
}

/* All ids fall on one place of the index: some bodies may be missed, nothing hangs, each that is
 * found is the right one. */
static void ids_made_to_collide(void **state)
{
	static struct shm_usage_record records[JOIN_MAX_RECORDS];
	static struct store_item items[JOIN_MAX_RECORDS];
	struct join j = {0};
	uint32_t found = 0;

	(void)state;
	for (uint32_t n = 0; n < JOIN_MAX_RECORDS; n++) {
		records[n] = crafted_record(0);
		memcpy(records[n].id, &n, sizeof(n));
		items[n] = (struct store_item){.record = &records[n]};
		assert_int_equal(
		    shm_content_push(&c.seg, p, records[n].id, SHM_CONTENT_REQUEST, &n, sizeof(n)),
		    0);
	}
	(void)join_content(&c.seg, p, &j, items, JOIN_MAX_RECORDS, 0);
	for (uint32_t n = 0; n < JOIN_MAX_RECORDS; n++) {
		uint32_t got;

		if (!items[n].input.ptr)
			continue;
		memcpy(&got, items[n].input.ptr, sizeof(got));
		assert_int_equal(got, n);
		found++;
	}
	assert_true(found >= 60);
}

/* Every place of the ring, wrap included, many times over. */
static void around_the_ring(void **state)
{
	static char body[100 * 1000];
	struct join j = {0};

	(void)state;
	memset(body, 'b', sizeof(body) - 1);
	for (uint32_t n = 1; n <= 200; n++) {
		struct shm_usage_record record = crafted_record(n);
		struct store_item item = {.record = &record};

		crafted_body(&c, p, n, SHM_CONTENT_REQUEST, body);
		shm_content_release(&c.seg, p, join_content(&c.seg, p, &j, &item, 1, 0));
		assert_int_equal(item.input.len, sizeof(body) - 1);
		assert_int_equal(shm_content_waiting_bytes(&c.seg, p), 0);
	}
}

static void a_discarded_ring_is_empty(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 5000; n++)
		crafted_body(&c, p, n, SHM_CONTENT_REQUEST, "x");
	join_discard(&c.seg, p);
	assert_int_equal(shm_content_waiting_bytes(&c.seg, p), 0);
}

#define JOIN_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    JOIN_TEST(an_empty_ring),           JOIN_TEST(the_last_body_of_a_kind_wins),
	    JOIN_TEST(an_empty_body_is_a_body), JOIN_TEST(ids_made_to_collide),
	    JOIN_TEST(around_the_ring),         JOIN_TEST(a_discarded_ring_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
