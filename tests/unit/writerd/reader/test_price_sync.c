/* When the price sheet is looked at; what comes of it is tested by real processes. */
#include "tests/unit/writerd/crafted.h"

#include <sys/socket.h>

#include "common/ipc/messages.h"
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
	static struct bf_child other;
	struct price_sync p = {.child = &other, .url = ""};

	(void)state;
	other.config.pricing.pricing_sync_interval_ms = DAY;
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

/* ---- with a channel, whose other end is the supervisor's */

static struct crafted c;
static struct bf_child child;
static struct bf_snapshot_holder holder;
static struct price_sync sheets;
static int supervisor;

static void on_frame(struct bf_channel *channel, struct bf_frame *f)
{
	(void)channel;
	(void)f;
}

static void on_closed(struct bf_channel *channel, int code, const char *why)
{
	(void)channel;
	(void)code;
	fail_msg("%s", why);
}

static int open_sync(void **state)
{
	static const struct bf_channel_events events = {.on_frame = on_frame,
							.on_closed = on_closed};
	static char url[128];
	int fds[2];
	FILE *f;

	(void)state;
	crafted_init(&c);
	(void)snprintf(url, sizeof(url), "file://%s/sheet.json", c.folder);
	f = fopen(url + 7, "w");
	assert_non_null(f);
	(void)fputs("{\"p/m\": {\"input_cost_per_token\": 1, \"output_cost_per_token\": 1,"
		    " \"mode\": \"chat\"}}",
		    f);
	(void)fclose(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	supervisor = fds[1];
	child = (struct bf_child){.loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL),
				  .proc_slot = crafted_worker(&c),
				  .endpoint = BF_ENDPOINT(BF_ROLE_READER, 0)};
	bf_arena_init(&child.arena, 1 << 20);
	child.config.pricing.pricing_sync_interval_ms = DAY;
	child.config.pricing.pricing_url = bf_slice_from(url);
	assert_int_equal(bf_channel_open(&child.channel, child.loop, fds[0], &events, NULL, NULL),
			 0);
	holder = (struct bf_snapshot_holder){.now = {.number = 1, .base = prices_of(2, 3000, 0)}};
	holder.view.base = holder.now.base;
	price_sync_open(&sheets, &child, &c.seg, &holder);
	return 0;
}

static int close_sync(void **state)
{
	(void)state;
	bf_snapshot_unmap(holder.now.base);
	bf_channel_close(&child.channel);
	(void)close(supervisor);
	ev_loop_destroy(child.loop);
	bf_arena_done(&child.arena);
	crafted_done(&c);
	return 0;
}

/* What it sends next: its type, or 0. */
static uint16_t hear(struct bf_frame *f, bool *ret_accepts)
{
	static uint8_t buf[BF_FRAME_MAX];
	struct bf_msg_price_sheet m;
	struct bf_arena arena;

	ev_run(child.loop, EVRUN_NOWAIT);
	if (bf_frame_recv_blocking(supervisor, buf, 0, f, NULL) < 0)
		return 0;
	if (f->fd >= 0)
		(void)close(f->fd);
	if (f->type != BF_MSG_PRICE_SHEET)
		return f->type;
	bf_arena_init(&arena, 1 << 16);
	assert_int_equal(bf_msg_decode(f->type, f->body, &m, &arena, NULL), 0);
	*ret_accepts = m.accept_smaller;
	bf_arena_done(&arena);
	return f->type;
}

static void ask(bool accepts, uint32_t request)
{
	const struct bf_msg_price_sync m = {.accept_smaller = accepts};
	const struct bf_frame f = {.type = BF_MSG_PRICE_SYNC,
				   .source = BF_ENDPOINT(BF_ROLE_PROXYD, 0),
				   .request = request,
				   .fd = -1};

	price_sync_ask(&sheets, &f, &m);
}

/* While the sheet is with writerd somebody says that it may be smaller: it is handed over again,
 * and only then those who asked are answered. */
static void who_accepts_a_smaller_one_is_heard(void **state)
{
	const struct bf_slice smaller = BF_SLICE_LIT("has 1 models where it had 3000");
	bool accepts = true;
	struct bf_frame f;

	(void)state;
	ask(false, 1);
	assert_int_equal(hear(&f, &accepts), BF_MSG_PRICE_SHEET);
	assert_false(accepts);
	ask(true, 2);
	assert_int_equal(hear(&f, &accepts), 0);
	price_sync_answered(&sheets, sheets.request, BF_E_DENIED, smaller);
	assert_int_equal(hear(&f, &accepts), BF_MSG_PRICE_SHEET);
	assert_true(accepts);
	price_sync_answered(&sheets, f.request, 0, (struct bf_slice){NULL, 0});
	for (int i = 0; i < 2; i++)
		assert_int_equal(hear(&f, &accepts), BF_MSG_ENTITY_RESULT);
	assert_int_equal(sheets.state, PRICE_SYNC_IDLE);
	assert_int_equal(sheets.failed, 0);
	/* It was said of that one; and whatever else is wrong ends it. */
	ask(false, 3);
	assert_int_equal(hear(&f, &accepts), BF_MSG_PRICE_SHEET);
	assert_false(accepts);
	ask(true, 4);
	price_sync_answered(&sheets, f.request, BF_E_FULL, smaller);
	for (int i = 0; i < 2; i++)
		assert_int_equal(hear(&f, &accepts), BF_MSG_ENTITY_RESULT);
	assert_int_equal(sheets.failed, 1);
	/* Nor is one that was accepted asked about again. */
	ask(true, 5);
	assert_int_equal(hear(&f, &accepts), BF_MSG_PRICE_SHEET);
	price_sync_answered(&sheets, f.request, BF_E_DENIED, smaller);
	assert_int_equal(hear(&f, &accepts), BF_MSG_ENTITY_RESULT);
	assert_int_equal(sheets.failed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_time),
	    cmocka_unit_test(what_cannot_be_read_is_wanted),
	    cmocka_unit_test_setup_teardown(who_accepts_a_smaller_one_is_heard, open_sync,
					    close_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
