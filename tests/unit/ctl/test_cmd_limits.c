/* bifrostctl limits against a scripted supervisor: pages, money, what is frozen, the clock. */
#include "tests/unit/ctl/fake_supervisor.h"

static struct bf_msg_limit money = {
    .owner = {"virtual_key", 11},
    .owner_id = {"vk-1", 4},
    .owner_name = {"team \x1b[1m", 9},
    .virtual_key_id = {"vk-1", 4},
    .virtual_key_name = {"team \x1b[1m", 9},
    .limit_id = {"b-1", 3},
    .quantity = {"cost", 4},
    .window = {"1d", 2},
    .used = 1500000000,
    .held = 7,
    .max = 2000000000,
    .left = 499999993,
    .start_ms = 1700006400000,
    .end_ms = 1700092800000,
    .placed = true,
};

static struct bf_msg_limit at_once = {
    .owner = {"provider_config", 15},
    .owner_id = {"pc-1", 4},
    .owner_name = {"openai", 6},
    .virtual_key_id = {"vk-2", 4},
    .provider = {"openai", 6},
    .limit_id = {"r-1", 3},
    .quantity = {"concurrent_requests", 19},
    .held = 3,
    .max = 3,
    .frozen = true,
};

static struct bf_msg_limits_get asked[4];
static unsigned asked_count;

static void answer(struct fake *f, struct bf_msg_limit *item, uint64_t next, int64_t ahead_ms)
{
	struct bf_frame q = fake_expect(f, BF_MSG_LIMITS_GET, &asked[asked_count++ % 4]);
	struct bf_msg_limits page = {
	    .next = next, .clock_ahead_ms = ahead_ms, .items = {item, item ? 1 : 0}};

	if (q.target != BF_ENDPOINT(BF_ROLE_WRITERD, 0))
		fake_trouble(f, "asked endpoint", q.target);
	fake_send(f, BF_MSG_LIMITS, BF_ENDPOINT(BF_ROLE_WRITERD, 0), q.request, BF_FRAME_REPLY,
		  &page);
}

static void two_pages(struct fake *f)
{
	asked_count = 0;
	fake_greet(f);
	answer(f, &money, 64, 0);
	answer(f, &at_once, 0, 90000);
	fake_expect_end(f);
}

static void test_pages(void **state)
{
	struct fake *f = *state;

	fake_start(f, two_pages);
	assert_int_equal(fake_ctl(f, "limits", NULL, NULL, NULL), CTL_OK);
	fake_join(f);
	assert_int_equal(asked[0].from, 0);
	assert_int_equal(asked[1].from, 64);
	assert_string_equal(
	    f->out,
	    "virtual_key team ?[1m  b-1  cost  used $1.500000000  held $0.000000007  max "
	    "$2.000000000  left "
	    "$0.499999993  window 1d 2023-11-15T00:00:00Z to 2023-11-16T00:00:00Z\n"
	    "provider_config openai of vk-2  r-1  concurrent_requests  used 0  held 3  max 3  left "
	    "0  OLD CLOCK  NO METER\n"
	    "the wall clock jumped ahead by 1m30s: windows shorter than that go on by the time of "
	    "before it; if it is right: bifrostctl limits --accept-clock\n");
	assert_string_equal(f->err, "");
}

static void test_json(void **state)
{
	struct fake *f = *state;
	int64_t n = 0;

	fake_start(f, two_pages);
	assert_int_equal(fake_ctl(f, "limits", "--json", "vk-1", NULL), CTL_OK);
	fake_join(f);
	assert_true(bf_slice_is(asked[0].virtual_key, "vk-1"));
	struct bf_json_tape t = fake_json(f);
	uint32_t limits = bf_json_member(&t, 0, "limits");
	assert_int_equal(t.tokens[limits].count, 2);
	assert_int_equal(bf_json_i64(&t, bf_json_member(&t, 0, "clock_ahead_ms"), &n), 0);
	assert_int_equal(n, 90000);
	assert_true(fake_says(f->out, "\"used\":1500000000"));
	assert_true(fake_says(f->out, "\"placed\":false"));
	assert_true(fake_says(f->out, "\"owner\":\"provider_config\",\"owner_id\":\"pc-1\","
				      "\"owner_name\":\"openai\",\"virtual_key_id\":\"vk-2\""));
}

static void raised_pages(struct fake *f)
{
	static struct bf_msg_limit for_a_time, for_ever;

	for_a_time = for_ever = money;
	for_a_time.extra = for_ever.extra = 500000000;
	for_a_time.extra_end_ms = 1700092800000;
	asked_count = 0;
	fake_greet(f);
	answer(f, &for_a_time, 64, 0);
	answer(f, &for_ever, 0, 0);
	fake_expect_end(f);
}

static void test_override(void **state)
{
	struct fake *f = *state;

	fake_start(f, raised_pages);
	assert_int_equal(fake_ctl(f, "limits", NULL, NULL, NULL), CTL_OK);
	fake_join(f);
	assert_true(fake_says(f->out, "left $0.499999993  override $0.500000000 until "
				      "2023-11-16T00:00:00Z  window 1d"));
	assert_true(fake_says(f->out, "override $0.500000000 until it is deleted  window 1d"));
}

static void one_page(struct fake *f)
{
	asked_count = 0;
	fake_greet(f);
	answer(f, &money, 0, 0);
	fake_expect_end(f);
}

static void ask(struct fake *f, const char *a, const char *b, const char *key, const char *owner,
		const char *owner_id)
{
	fake_start(f, one_page);
	assert_int_equal(fake_ctl(f, "limits", a, b, NULL), CTL_OK);
	fake_join(f);
	assert_true(bf_slice_is(asked[0].virtual_key, key));
	assert_true(bf_slice_is(asked[0].owner, owner));
	assert_true(bf_slice_is(asked[0].owner_id, owner_id));
}

static void test_filters(void **state)
{
	struct fake *f = *state;
	char longest[160];

	ask(f, "--owner=team:blue", NULL, "", "team", "blue");
	ask(f, "--owner", "customer", "", "customer", "");
	ask(f, "--owner=model_config:a:b", NULL, "", "model_config", "a:b");
	ask(f, "--virtual-key=one", NULL, "one", "", "");
	ask(f, "--owner=provider_config", "one", "one", "provider_config", "");
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "--owner=team:", 13);
	longest[13 + 129] = '\0';
	assert_int_equal(fake_ctl(f, "limits", longest, NULL, NULL), CTL_USAGE);
	assert_true(fake_says(f->err, "KIND is provider, model_config"));
	assert_int_equal(fake_ctl(f, "limits", "--owner=team:", NULL, NULL), CTL_USAGE);
	assert_int_equal(fake_ctl(f, "limits", "--owner=:blue", NULL, NULL), CTL_USAGE);
	assert_int_equal(fake_ctl(f, "limits", "--owner", NULL, NULL), CTL_USAGE);
	assert_int_equal(fake_ctl(f, "limits", "--virtual-key=one", "one", NULL), CTL_USAGE);
	assert_int_equal(fake_ctl(f, "limits", "--virtual-key=", NULL, NULL), CTL_USAGE);
	assert_int_equal(fake_ctl(f, "limits", "--accept-clock", "--owner=team", NULL), CTL_USAGE);
}

static void nothing(struct fake *f)
{
	fake_greet(f);
	answer(f, NULL, 0, 0);
	fake_expect_end(f);
}

static void half(struct fake *f)
{
	fake_greet(f);
	answer(f, &money, 64, 0);
	struct bf_frame q = fake_expect(f, BF_MSG_LIMITS_GET, NULL);
	fake_refuse(f, &q, BF_E_CLOSED, "the process ended before it answered");
	fake_expect_end(f);
}

static void in_circles(struct fake *f)
{
	fake_greet(f);
	answer(f, &money, 64, 0);
	answer(f, &money, 64, 0);
	fake_expect_end(f);
}

static void test_odd_answers(void **state)
{
	struct fake *f = *state;

	fake_start(f, nothing);
	assert_int_equal(fake_ctl(f, "limits", NULL, NULL, NULL), CTL_OK);
	fake_join(f);
	assert_string_equal(f->out, "no limits are configured\n");
	fake_start(f, nothing);
	assert_int_equal(fake_ctl(f, "limits", "--owner=team:blue", NULL, NULL), CTL_OK);
	fake_join(f);
	assert_string_equal(f->out, "it has no limits\n");

	fake_start(f, half);
	assert_int_equal(fake_ctl(f, "limits", "--json", NULL, NULL), CTL_REFUSED);
	fake_join(f);
	assert_string_equal(f->out, "");
	assert_true(fake_one_line(f->err));

	fake_start(f, in_circles);
	assert_int_equal(fake_ctl(f, "limits", NULL, NULL, NULL), CTL_FAILED);
	fake_join(f);
	assert_true(fake_says(f->err, "pages go back"));
}

static void take_clock(struct fake *f)
{
	fake_greet(f);
	struct bf_frame q = fake_expect(f, BF_MSG_CLOCK_ACCEPT, NULL);
	if (q.target != FAKE_SUPERVISOR)
		fake_trouble(f, "asked endpoint", q.target);
	fake_reply(f, &q, BF_MSG_OK, NULL, false);
	fake_expect_end(f);
}

static void test_accept_clock(void **state)
{
	struct fake *f = *state;

	fake_start(f, take_clock);
	assert_int_equal(fake_ctl(f, "limits", "--accept-clock", NULL, NULL), CTL_OK);
	fake_join(f);
	assert_string_equal(f->out, "windows of limits follow the wall clock\n");

	fake_start(f, take_clock);
	assert_int_equal(fake_ctl(f, "limits", "--accept-clock", "--json", NULL), CTL_OK);
	fake_join(f);
	assert_string_equal(f->out, "{\"ok\":true}\n");

	assert_int_equal(fake_ctl(f, "limits", "--accept-clock", "vk-1", NULL), CTL_USAGE);
	assert_int_equal(fake_ctl(f, "limits", "vk-1", "vk-2", NULL), CTL_USAGE);
	assert_int_equal(fake_ctl(f, "limits", "--all", NULL, NULL), CTL_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_FAKE(test_override), WITH_FAKE(test_pages),       WITH_FAKE(test_json),
	    WITH_FAKE(test_filters),  WITH_FAKE(test_odd_answers), WITH_FAKE(test_accept_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
