/* When the price sheet is looked at; what comes of it is tested by real processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/prices_of.h"
#include "writerd/reader/price_sync.h"

#define DAY INT64_C(86400000)

static void it_is_time(void **state)
{
	const int64_t day = 86400000, now = 1000 * day;

	(void)state;
	assert_true(price_sync_is_due(now, 0, day, 0));
	assert_false(price_sync_is_due(now, now, day, 0));
	assert_false(price_sync_is_due(now, now - day + 1, day, 0));
	assert_true(price_sync_is_due(now, now - day, day, 0));
	assert_false(price_sync_is_due(now, now - day, day, 1));
	assert_true(price_sync_is_due(now, now - day - 1, day, 1));
	/* A clock that was set back a little, and by far. */
	assert_false(price_sync_is_due(now, now + day, day, 0));
	assert_true(price_sync_is_due(now, now + day + 1, day, 0));
}

static bool wants(struct price_sync *p, struct bf_snapshot_blob *blob, int64_t now_ms)
{
	const struct bf_snapshot s = {blob, NULL};

	return price_sync_wants(p, &s, now_ms);
}

/* What another build packed, or what is not whole, is no price to anybody: it is not kept until
 * its time is over. */
static void what_cannot_be_read_is_wanted(void **state)
{
	struct bf_snapshot_blob *none = snapshot_of_end(snapshot_of_begin(false, 1));
	struct bf_snapshot_blob *whole = prices_of(2, 3000, 0), *half = prices_of(3, 3000, 1);
	static struct bf_child child;
	struct price_sync p = {.child = &child, .url = ""};

	(void)state;
	child.config.pricing.pricing_sync_interval_ms = DAY;
	assert_true(wants(&p, none, 2));
	assert_false(wants(&p, whole, 2));
	assert_false(wants(&p, whole, DAY));
	assert_true(wants(&p, whole, DAY + 1));
	assert_true(wants(&p, half, 2));
	assert_true(wants(&p, half, 2));
	assert_false(wants(&p, whole, 2));
	p.url = "https://elsewhere.example/";
	assert_true(wants(&p, whole, 2));
	bf_snapshot_unmap(none);
	bf_snapshot_unmap(whole);
	bf_snapshot_unmap(half);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_time),
	    cmocka_unit_test(what_cannot_be_read_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
