/* bifrostctl status against a scripted supervisor: table, JSON, and processes that do not answer or
 * answer badly. */
#include "tests/unit/ctl/fake_supervisor.h"

#include "common/base/clock.h"
#include "common/proc/child.h"

static void tell_child(struct fake *f, const struct bf_frame *asked, const char *name,
		       const char *state, int64_t backoff_ms, const char *last_exit)
{
	struct bf_msg_child child = {
	    .name = bf_slice_from(name),
	    .state = bf_slice_from(state),
	    .pid = backoff_ms ? 0 : 4711,
	    .proc_slot = 3,
	    .uptime_ms = 61000,
	    .restarts = 2,
	    .heartbeat_age_ms = 300,
	    .backoff_ms = backoff_ms,
	    .last_exit = bf_slice_from(last_exit),
	    .queue_frames = 7,
	};

	fake_reply(f, asked, BF_MSG_CHILD, &child, true);
}

/* Two workers of which one is in back-off, a writer, and an old worker that still drains. */
static void tell_children(struct fake *f)
{
	struct bf_frame asked = fake_expect(f, BF_MSG_CHILDREN_GET, NULL);

	tell_child(f, &asked, "proxyd.0", "ready", 0, "");
	tell_child(f, &asked, "proxyd.0/old", "draining", 0, "");
	tell_child(f, &asked, "proxyd.1", "paused", 1600, "signal 9 (KILL)");
	tell_child(f, &asked, "writerd", "ready", 0, "exit 0");
	fake_reply(f, &asked, BF_MSG_OK, NULL, false);
}

static void tell_status(struct fake *f, const struct bf_frame *asked, const char *process,
			const char *name, const char *value)
{
	struct bf_msg_status_item item = {bf_slice_from(name), bf_slice_from(value)};
	struct bf_msg_status status = {bf_slice_from(process), 99, 5000, {&item, 1}};

	fake_reply(f, asked, BF_MSG_STATUS, &status, false);
}

static void serve(struct fake *f)
{
	struct bf_frame asked[3];

	fake_greet(f);
	tell_children(f);
	for (size_t i = 0; i < BF_ARRAY_LEN(asked); i++)
		asked[i] = fake_expect(f, BF_MSG_STATUS_GET, NULL);
	if (asked[0].target != FAKE_SUPERVISOR ||
	    asked[1].target != BF_ENDPOINT(BF_ROLE_PROXYD, 0) ||
	    asked[2].target != BF_ENDPOINT(BF_ROLE_WRITERD, 0))
		fake_trouble(f, "asked others than it should", asked[1].target);
	/* Out of order. */
	tell_status(f, &asked[2], "writerd", "rows", "12");
	tell_status(f, &asked[0], "supervisor", "build", bf_build_id());
	tell_status(f, &asked[1], "proxyd.0", "connections", "3");
	fake_expect_end(f);
}

static const char table[] =
    "NAME          STATE      PID      UP       RESTARTS  BEAT     QUEUE  LAST EXIT\n"
    "supervisor    running    99       5s\n"
    "proxyd.0      ready      4711     1m1s     2         300ms    7      -\n"
    "proxyd.0/old  draining   4711     1m1s     2         300ms    7      -\n"
    "proxyd.1      paused     -        -        2         -        7      signal 9 (KILL), next "
    "start in 1s\n"
    "writerd       ready      4711     1m1s     2         300ms    7      exit 0\n"
    "\n"
    "supervisor:\n"
    "  build                       %s\n"
    "proxyd.0:\n"
    "  connections                 3\n"
    "writerd:\n"
    "  rows                        12\n";

static void test_table(void **state)
{
	struct fake *f = *state;

	fake_start(f, serve);
	assert_int_equal(fake_ctl(f, "status", NULL, NULL, NULL), CTL_OK);
	fake_join(f);
	assert_string_equal(f->err, "");
	char expected[1024];
	(void)snprintf(expected, sizeof(expected), table, bf_build_id());
	assert_string_equal(f->out, expected);
}

static void test_json(void **state)
{
	struct fake *f = *state;
	struct bf_slice text;

	fake_start(f, serve);
	assert_int_equal(fake_ctl(f, "--json", "status", NULL, NULL), CTL_OK);
	fake_join(f);
	struct bf_json_tape t = fake_json(f);
	uint32_t children = bf_json_member(&t, 0, "children");
	uint32_t status = bf_json_member(&t, 0, "status");
	assert_int_equal(t.tokens[children].count, 4);
	assert_int_equal(t.tokens[status].count, 3);
	uint32_t first = bf_json_first(children);
	int64_t beat = 0;
	assert_int_equal(bf_json_i64(&t, bf_json_member(&t, first, "heartbeat_age_ms"), &beat), 0);
	assert_int_equal(beat, 300);
	uint32_t process = bf_json_member(&t, bf_json_first(status), "process");
	assert_int_equal(bf_json_string(&t, process, &f->arena, &text), 0);
	assert_true(bf_slice_is(text, "supervisor"));
}

static void serve_badly(struct fake *f)
{
	struct bf_frame asked[3];

	fake_greet(f);
	tell_children(f);
	for (size_t i = 0; i < BF_ARRAY_LEN(asked); i++)
		asked[i] = fake_expect(f, BF_MSG_STATUS_GET, NULL);
	tell_status(f, &asked[0], "supervisor", "build", "another\x1b[2J");
	/* A worker that speaks nonsense, and a stray answer. */
	struct bf_frame bad = {.flags = BF_FRAME_REPLY,
			       .type = BF_MSG_STATUS,
			       .source = asked[1].target,
			       .target = FAKE_CTL,
			       .request = asked[1].request,
			       .body = BF_SLICE_LIT("\xc1"),
			       .fd = -1};
	(void)bf_frame_send_blocking(f->conn, &bad, NULL);
	asked[1].request += 1000;
	tell_status(f, &asked[1], "nobody", "x", "y");
	/* writerd never answers. */
	fake_expect_end(f);
}

static void test_silent_and_senseless_processes(void **state)
{
	struct fake *f = *state;
	int64_t start = bf_mono_ms();

	fake_start(f, serve_badly);
	assert_int_equal(fake_ctl(f, "status", NULL, NULL, NULL), CTL_OK);
	assert_true(bf_mono_ms() - start < 20000);
	fake_join(f);
	assert_true(fake_says(f->out, "writerd: no answer within 2 s\n"));
	assert_false(fake_says(f->out, "proxyd.0:\n"));
	assert_false(fake_says(f->out, "nobody"));
	assert_true(fake_says(f->err, "the answer cannot be read"));
	assert_true(fake_says(
	    f->err, "warning: the gateway is of build another?[2J, bifrostctl of build "));
	assert_null(strchr(f->out, '\x1b'));
	assert_null(strchr(f->err, '\x1b'));
}

static void refuse_each(struct fake *f)
{
	fake_greet(f);
	tell_children(f);
	for (int i = 0; i < 3; i++) {
		struct bf_frame asked = fake_expect(f, BF_MSG_STATUS_GET, NULL);
		fake_refuse(f, &asked, BF_E_CLOSED, "the process ended before it answered");
	}
	fake_expect_end(f);
}

static void test_processes_that_refuse(void **state)
{
	struct fake *f = *state;

	fake_start(f, refuse_each);
	assert_int_equal(fake_ctl(f, "status", NULL, NULL, NULL), CTL_OK);
	fake_join(f);
	assert_true(fake_says(f->out, "\nwriterd "));
	assert_false(fake_says(f->out, "no answer"));
}

static void close_in_the_middle(struct fake *f)
{
	fake_greet(f);
	tell_children(f);
	for (int i = 0; i < 3; i++)
		(void)fake_expect(f, BF_MSG_STATUS_GET, NULL);
}

static void test_gateway_that_stops_meanwhile(void **state)
{
	struct fake *f = *state;

	fake_start(f, close_in_the_middle);
	assert_int_equal(fake_ctl(f, "status", NULL, NULL, NULL), CTL_NOT_RUNNING);
	fake_join(f);
	assert_string_equal(f->out, "");
}

static void tell_too_many(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_CHILDREN_GET, NULL);
	for (int i = 0; i < 128; i++)
		tell_child(f, &asked, "proxyd.0", "ready", 0, "");
	fake_expect_end(f);
}

static void test_more_processes_than_can_be(void **state)
{
	struct fake *f = *state;

	fake_start(f, tell_too_many);
	assert_int_equal(fake_ctl(f, "status", NULL, NULL, NULL), CTL_FAILED);
	fake_join(f);
	assert_true(fake_says(f->err, "more than 128"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_FAKE(test_table),
	    WITH_FAKE(test_json),
	    WITH_FAKE(test_silent_and_senseless_processes),
	    WITH_FAKE(test_processes_that_refuse),
	    WITH_FAKE(test_gateway_that_stops_meanwhile),
	    WITH_FAKE(test_more_processes_than_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
