/* bifrostctl restart, reload and drain against a scripted supervisor. */
#include "tests/unit/ctl/fake_supervisor.h"

static char asked_for[64];
static bool drained;

static void serve_restart(struct fake *f)
{
	struct bf_msg_restart restart = {{NULL, 0}};

	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_RESTART, &restart);
	(void)snprintf(asked_for, sizeof(asked_for), "%.*s", BF_SLICE_FMT(restart.name));
	fake_reply(f, &asked, BF_MSG_OK, NULL, false);
	fake_expect_end(f);
}

static void refuse_restart(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_RESTART, NULL);
	fake_refuse(f, &asked, BF_E_STATE, "another restart is running\nsee \x1b[1mstatus");
	fake_expect_end(f);
}

static void test_restart(void **state)
{
	struct fake *f = *state;

	fake_start(f, serve_restart);
	assert_int_equal(fake_ctl(f, "restart", "proxyd.3", NULL, NULL), CTL_OK);
	fake_join(f);
	assert_string_equal(asked_for, "proxyd.3");
	assert_string_equal(f->out, "ok\n");
	assert_string_equal(f->err, "");

	fake_start(f, serve_restart);
	assert_int_equal(fake_ctl(f, "restart", "--json", "writerd", NULL), CTL_OK);
	fake_join(f);
	assert_string_equal(asked_for, "writerd");
	assert_string_equal(f->out, "{\"ok\":true}\n");
}

static void test_restart_refused(void **state)
{
	struct fake *f = *state;

	fake_start(f, refuse_restart);
	assert_int_equal(fake_ctl(f, "restart", "writerd", NULL, NULL), CTL_REFUSED);
	fake_join(f);
	assert_string_equal(f->err,
			    "bifrostctl: refused: another restart is running?see ?[1mstatus\n");
	assert_string_equal(f->out, "");
}

static void serve_drain(struct fake *f)
{
	struct bf_msg_node_drain drain = {false};

	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_NODE_DRAIN, &drain);
	drained = drain.on;
	fake_reply(f, &asked, BF_MSG_OK, NULL, false);
	fake_expect_end(f);
}

static void test_drain(void **state)
{
	struct fake *f = *state;

	fake_start(f, serve_drain);
	assert_int_equal(fake_ctl(f, "drain", NULL, NULL, NULL), CTL_OK);
	fake_join(f);
	assert_true(drained);
	assert_true(fake_says(f->out, "drain --off"));

	fake_start(f, serve_drain);
	assert_int_equal(fake_ctl(f, "drain", "--off", NULL, NULL), CTL_OK);
	fake_join(f);
	assert_false(drained);
	assert_true(fake_says(f->out, "takes work again"));
}

static void tell_diag(struct fake *f, const struct bf_frame *asked, bool is_error, const char *text)
{
	struct bf_msg_diag diag = {is_error, bf_slice_from(text)};

	fake_reply(f, asked, BF_MSG_DIAG, &diag, true);
}

static void reload_with_warning(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_RELOAD, NULL);
	tell_diag(f, &asked, false, "a.yaml:3:1: warning: mcp has no effect");
	fake_reply(f, &asked, BF_MSG_OK, NULL, false);
	fake_expect_end(f);
}

static void reload_with_errors(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_RELOAD, NULL);
	tell_diag(f, &asked, true, "a.yaml:1:1: error: no");
	tell_diag(f, &asked, true, "a.yaml:2:1: error: \"never\"");
	fake_refuse(f, &asked, BF_E_SYNTAX, "the configuration has 2 errors");
	fake_expect_end(f);
}

/* Even a supervisor that forgets to refuse is not believed. */
static void reload_with_errors_alone(struct fake *f)
{
	struct bf_msg_diag diag = {true, BF_SLICE_LIT("error")};

	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_RELOAD, NULL);
	fake_reply(f, &asked, BF_MSG_DIAG, &diag, false);
	fake_expect_end(f);
}

static void test_reload(void **state)
{
	struct fake *f = *state;

	fake_start(f, reload_with_warning);
	assert_int_equal(fake_ctl(f, "reload", NULL, NULL, NULL), CTL_OK);
	fake_join(f);
	assert_string_equal(
	    f->out, "a.yaml:3:1: warning: mcp has no effect\nthe configuration is in use\n");

	fake_start(f, reload_with_errors);
	assert_int_equal(fake_ctl(f, "reload", NULL, NULL, NULL), CTL_REFUSED);
	fake_join(f);
	assert_string_equal(f->out, "a.yaml:1:1: error: no\na.yaml:2:1: error: \"never\"\n");
	assert_string_equal(f->err, "bifrostctl: refused: the configuration has 2 errors\n");

	fake_start(f, reload_with_errors_alone);
	assert_int_equal(fake_ctl(f, "reload", NULL, NULL, NULL), CTL_REFUSED);
	fake_join(f);
	assert_string_equal(f->out, "error\n");
}

static void reload_and_vanish(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_RELOAD, NULL);
	tell_diag(f, &asked, false, "half");
}

static void test_reload_json(void **state)
{
	struct fake *f = *state;
	bool ok = true;

	fake_start(f, reload_with_errors);
	assert_int_equal(fake_ctl(f, "reload", "--json", NULL, NULL), CTL_REFUSED);
	fake_join(f);
	struct bf_json_tape t = fake_json(f);
	assert_int_equal(bf_json_bool(&t, bf_json_member(&t, 0, "ok"), &ok), 0);
	assert_false(ok);
	assert_int_equal(t.tokens[bf_json_member(&t, 0, "diagnostics")].count, 2);

	fake_start(f, reload_with_warning);
	assert_int_equal(fake_ctl(f, "reload", "--json", NULL, NULL), CTL_OK);
	fake_join(f);
	t = fake_json(f);
	assert_int_equal(bf_json_bool(&t, bf_json_member(&t, 0, "ok"), &ok), 0);
	assert_true(ok);

	/* No half of an object when the answer never ends. */
	fake_start(f, reload_and_vanish);
	assert_int_equal(fake_ctl(f, "reload", "--json", NULL, NULL), CTL_NOT_RUNNING);
	fake_join(f);
	assert_string_equal(f->out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_FAKE(test_restart), WITH_FAKE(test_restart_refused), WITH_FAKE(test_drain),
	    WITH_FAKE(test_reload),  WITH_FAKE(test_reload_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
