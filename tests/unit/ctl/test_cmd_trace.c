/* bifrostctl trace: how it begins, how it ends. */
#include "tests/unit/ctl/fake_supervisor.h"

#include <signal.h>

static uint32_t canceled;
static uint32_t to_show; /* no more than are asked for: bifrostctl leaves after those */

static void show(struct fake *f, const struct bf_frame *asked, uint32_t request, bool more)
{
	static const char ready[] = "\1\0\2\0\0\10\0\4\0\0\0\0\0\0\0\0";
	char bytes[BF_FRAME_HEADER_SIZE];
	struct bf_msg_traced traced = {1, {bytes, sizeof(bytes)}, false};

	memcpy(bytes, ready, sizeof(bytes));
	bytes[8] = (char)request;
	fake_reply(f, asked, BF_MSG_TRACED, &traced, more);
}

static void expect_cancel(struct fake *f, const struct bf_frame *asked)
{
	struct bf_frame end = fake_expect(f, BF_MSG_TRACE, NULL);

	canceled = end.request;
	if (!(end.flags & BF_FRAME_CANCEL) || end.request != asked->request)
		fake_trouble(f, "no cancel of the trace, flags", end.flags);
	fake_expect_end(f);
}

static void serve(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_TRACE, NULL);
	for (uint32_t i = 1; i <= to_show; i++)
		show(f, &asked, i, true);
	expect_cancel(f, &asked);
}

static void test_count_ends_it_with_a_cancel(void **state)
{
	struct fake *f = *state;

	canceled = 0;
	to_show = 2;
	fake_start(f, serve);
	assert_int_equal(fake_ctl(f, "trace", "--count", "2", NULL), CTL_OK);
	fake_join(f);
	assert_true(canceled != 0);
	assert_string_equal(f->out,
			    "1970-01-01T00:00:00.000000Z proxyd.0 > supervisor ready #1 0 bytes\n"
			    "1970-01-01T00:00:00.000000Z proxyd.0 > supervisor ready #2 0 bytes\n");

	to_show = 1;
	fake_start(f, serve);
	assert_int_equal(fake_ctl(f, "--json", "trace", "--count=1", NULL), CTL_OK);
	fake_join(f);
	struct bf_json_tape t = fake_json(f);
	assert_true(bf_json_member(&t, 0, "source") != BF_JSON_NONE);
}

static void interrupt(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_TRACE, NULL);
	show(f, &asked, 1, true);
	/* By now the handler is in place: the question came after it was set. */
	(void)kill(getpid(), SIGINT);
	expect_cancel(f, &asked);
}

static void test_interrupt_ends_it_with_a_cancel(void **state)
{
	struct fake *f = *state;

	canceled = 0;
	fake_start(f, interrupt);
	assert_int_equal(fake_ctl(f, "trace", NULL, NULL, NULL), CTL_OK);
	fake_join(f);
	assert_true(canceled != 0);
	(void)signal(SIGINT, SIG_DFL);
}

static void end_it(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_TRACE, NULL);
	show(f, &asked, 1, true);
	show(f, &asked, 2, false);
	fake_expect_end(f);
}

static void refuse_it(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_TRACE, NULL);
	show(f, &asked, 1, true);
	fake_refuse(f, &asked, BF_E_FULL, "trace: you read too slowly");
	fake_expect_end(f);
}

static void vanish(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_TRACE, NULL);
	show(f, &asked, 1, true);
}

static void test_ends_that_the_gateway_makes(void **state)
{
	struct fake *f = *state;

	fake_start(f, end_it);
	assert_int_equal(fake_ctl(f, "trace", NULL, NULL, NULL), CTL_OK);
	fake_join(f);
	assert_true(fake_says(f->out, "#2"));

	fake_start(f, refuse_it);
	assert_int_equal(fake_ctl(f, "trace", NULL, NULL, NULL), CTL_REFUSED);
	fake_join(f);
	assert_true(fake_says(f->out, "#1"));
	assert_true(fake_says(f->err, "you read too slowly"));

	fake_start(f, vanish);
	assert_int_equal(fake_ctl(f, "trace", NULL, NULL, NULL), CTL_NOT_RUNNING);
	fake_join(f);
	assert_true(fake_says(f->out, "#1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_FAKE(test_count_ends_it_with_a_cancel),
	    WITH_FAKE(test_interrupt_ends_it_with_a_cancel),
	    WITH_FAKE(test_ends_that_the_gateway_makes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
