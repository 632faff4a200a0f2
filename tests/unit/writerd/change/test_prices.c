/* A fetched price sheet on its way into force: whole ones, bad ones, shrunken ones, and restarts.
 */
#include "tests/unit/writerd/entities_bed.h"

#include "tests/support/prices_of.h"
#include "writerd/change/prices.h"

#define URL  "https://prices.example/x"
#define WITH "framework: {pricing: {pricing_url: \"" URL "\"}}\nproviders: {mock: {}}\n"
#define NONE "providers: {mock: {}}\n"

static struct bed b;
static struct prices prices;
static struct bf_buf bytes;

static void on_published(void *owner, int code, const char *why)
{
	prices_published(&prices, code, why);
	bed_on_published(owner, code, why);
}

static void begin(void)
{
	b.r.on_published = on_published;
	prices_init(&prices, &b.child, &b.r);
}

static int set_up(void **state)
{
	(void)state;
	bed_open(&b, WITH);
	begin();
	bf_buf_init(&bytes, 16u << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	prices_done(&prices);
	bed_close(&b);
	bf_buf_done(&bytes);
	return 0;
}

static void again(const char *yaml)
{
	prices_done(&prices);
	bed_again(&b, yaml);
	begin();
}

/* ---- what is in force */

static uint32_t models(void)
{
	const struct bf_snapshot s = {b.base, b.overlay};
	struct bf_array entries;
	struct bf_arena arena;
	struct bf_err err = {0};

	bf_arena_init(&arena, 64u << 20);
	if (bf_snapshot_prices(&s, &arena, &entries, &err) < 0)
		fail_msg("%s", err.text);
	bf_arena_done(&arena);
	return entries.count;
}

static bool head(struct bf_price_piece *ret_head)
{
	static struct bf_arena arena;
	const struct bf_snapshot s = {b.base, b.overlay};

	bf_arena_done(&arena);
	bf_arena_init(&arena, 1u << 16);
	return bf_snapshot_price_head(&s, &arena, ret_head);
}

/* ---- what comes */

static void pack(uint32_t count)
{
	struct bf_conf_sheet_price *items = calloc(count + 1, sizeof(*items));
	char(*names)[16] = calloc(count + 1, 16);
	uint32_t taken = 0;

	for (uint32_t i = 0; i < count; i++)
		prices_of_entry(i, names[i], &items[i]);
	bf_buf_clear(&bytes);
	for (uint32_t done = 0; done < count; done += taken)
		assert_int_equal(bf_price_pack(items + done, count - done, &bytes, &taken), 0);
	free(names);
	free(items);
}

static struct bf_frame frame(uint16_t type, int fd)
{
	return (struct bf_frame){.type = type,
				 .source = BF_ENDPOINT(BF_ROLE_READER, 0),
				 .target = b.child.endpoint,
				 .request = 7,
				 .fd = fd};
}

/* 0: OK, else ERROR. */
static int told(void)
{
	uint32_t before = b.answers;

	bed_settle(&b);
	assert_int_equal(b.answers, before + 1);
	assert_int_equal(prices.state, PRICES_IDLE);
	return b.status == BF_MSG_OK ? 0 : -1;
}

static void give_as(uint64_t said, uint64_t size, bool accept_smaller, int fd)
{
	const struct bf_msg_price_sheet m = {.url = BF_SLICE_LIT(URL),
					     .etag = BF_SLICE_LIT("\"e\""),
					     .date = BF_SLICE_LIT("today"),
					     .models = said,
					     .skipped = 3,
					     .size = size,
					     .accept_smaller = accept_smaller};
	const struct bf_frame f = frame(BF_MSG_PRICE_SHEET, fd);

	prices_take(&prices, &f, &m);
	(void)close(fd);
}

static int give(uint32_t count, bool accept_smaller)
{
	pack(count);
	give_as(count, bf_buf_len(&bytes), accept_smaller,
		bf_memfd_sealed("sheet", bytes.data + bytes.start, bf_buf_len(&bytes)));
	return told();
}

static int give_bytes(uint64_t said, uint64_t size, struct bf_slice text)
{
	give_as(said, size, false, bf_memfd_sealed("sheet", text.ptr, text.len));
	return told();
}

static int fresh(const char *url)
{
	const struct bf_msg_price_fresh m = {bf_slice_from(url)};
	const struct bf_frame f = frame(BF_MSG_PRICE_FRESH, -1);

	prices_fresh(&prices, &f, &m);
	return told();
}

/* ---- */

static void a_sheet_comes_into_force(void **state)
{
	struct bf_price_piece h;

	(void)state;
	assert_false(head(&h));
	assert_int_equal(give(5000, false), 0);
	assert_int_equal(models(), 5000);
	assert_true(head(&h));
	assert_true(bf_slice_is(h.url, URL) && bf_slice_is(h.etag, "\"e\"") &&
		    bf_slice_is(h.date, "today"));
	assert_int_equal(h.models, 5000);
	assert_int_equal(h.skipped, 3);
	assert_true(h.pieces > 1 && h.synced_ms > 0 && h.checked_ms == h.synced_ms);
	/* Fewer: nothing is left of the others. */
	assert_int_equal(give(2600, false), 0);
	assert_int_equal(models(), 2600);
	assert_int_equal(entities_count(b.r.t, BF_ENTITY_PRICING), 2);
	/* The same again changes the head alone. */
	uint32_t records = publish_overlay_records(&b.r.publish);
	assert_int_equal(give(2600, false), 0);
	assert_int_equal(publish_overlay_records(&b.r.publish), records);
}

static void a_shrunken_one_is_refused(void **state)
{
	(void)state;
	assert_int_equal(give(100, false), 0);
	assert_int_equal(give(49, false), -1);
	assert_int_equal(models(), 100);
	assert_int_equal(give(50, false), 0);
	assert_int_equal(give(1, true), 0);
	assert_int_equal(models(), 1);
	assert_int_equal(give(0, true), -1);
	assert_int_equal(models(), 1);
}

static void what_is_no_sheet(void **state)
{
	struct bf_slice whole;
	size_t cuts[] = {0, 1, 15, 16, 17, 0, 0};

	(void)state;
	assert_int_equal(give(3000, false), 0);
	pack(2900);
	whole = bf_buf_slice(&bytes);
	cuts[5] = whole.len - 1;
	cuts[6] = BF_PRICE_PIECE_BYTES;
	for (size_t i = 0; i < BF_ARRAY_LEN(cuts); i++)
		assert_int_equal(give_bytes(2900, cuts[i], (struct bf_slice){whole.ptr, cuts[i]}),
				 -1);
	assert_int_equal(give_bytes(2899, whole.len, whole), -1);
	assert_int_equal(give_bytes(2901, whole.len, whole), -1);
	assert_int_equal(give_bytes(2900, whole.len - 1, whole), -1);
	assert_int_equal(give_bytes(BF_SHEET_ENTRIES_MAX + 1, whole.len, whole), -1);
	/* One that its sender could still change. */
	int fd = memfd_create("open", MFD_CLOEXEC);
	assert_int_equal(write(fd, whole.ptr, whole.len), (ssize_t)whole.len);
	give_as(2900, whole.len, false, fd);
	assert_int_equal(told(), -1);
	assert_int_equal(models(), 3000);
}

static void nothing_changed(void **state)
{
	struct bf_price_piece before, after;

	(void)state;
	assert_int_equal(fresh(URL), -1);
	assert_int_equal(give(10, false), 0);
	assert_true(head(&before));
	int64_t synced_ms = before.synced_ms;
	(void)usleep(5000);
	assert_int_equal(fresh(URL), 0);
	assert_true(head(&after));
	assert_true(after.checked_ms > after.synced_ms);
	assert_int_equal(after.synced_ms, synced_ms);
	assert_int_equal(models(), 10);
	assert_int_equal(fresh("https://elsewhere.example/"), -1);
}

static void one_at_a_time_and_refused_flips(void **state)
{
	const struct bf_msg_price_fresh m = {BF_SLICE_LIT(URL)};
	const struct bf_frame f = frame(BF_MSG_PRICE_FRESH, -1);

	(void)state;
	assert_int_equal(give(10, false), 0);
	b.mood = BED_REFUSES;
	assert_int_equal(give(20, false), -1);
	assert_int_equal(models(), 10);
	/* It is stored: whatever is published next has it. */
	b.mood = BED_TAKES;
	prices_fresh(&prices, &f, &m);
	prices_fresh(&prices, &f, &m);
	bed_settle(&b);
	assert_int_equal(b.answers, 4);
	assert_int_equal(prices.taken, 2);
	assert_int_equal(models(), 20);
}

static void restarts(void **state)
{
	struct bf_price_piece h;

	(void)state;
	assert_int_equal(give(3000, false), 0);
	again(WITH);
	assert_int_equal(models(), 3000);
	prices_second(&prices);
	assert_true(head(&h));
	/* Nobody fetches it any more. */
	again(NONE);
	assert_false(head(&h));
	assert_int_equal(models(), 0);
	again(WITH);
	assert_int_equal(models(), 0);
	assert_int_equal(give(5, false), 0);
	assert_int_equal(models(), 5);
}

static void when_prices_are_stale(void **state)
{
	const int64_t day = 86400000, now = 1000 * day;

	(void)state;
	assert_false(prices_are_stale(now, 0, day, 0));
	assert_false(prices_are_stale(now, 0, day, PRICES_NEVER_MS));
	assert_true(prices_are_stale(now, 0, day, PRICES_NEVER_MS + 1));
	assert_false(prices_are_stale(now, now, day, 0));
	assert_false(prices_are_stale(now, now - 2 * day, day, 0));
	assert_true(prices_are_stale(now, now - 2 * day - 1, day, 0));
	assert_false(prices_are_stale(now, now + day, day, 0));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_sheet_comes_into_force),
	    TEST(a_shrunken_one_is_refused),
	    TEST(what_is_no_sheet),
	    TEST(nothing_changed),
	    TEST(one_at_a_time_and_refused_flips),
	    TEST(restarts),
	    cmocka_unit_test(when_prices_are_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
