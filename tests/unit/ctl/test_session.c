/* The first words with the gateway, and everything that can go wrong with them. */
#include "ctl/session.h"
#include "tests/unit/ctl/fake_supervisor.h"

#include "common/base/clock.h"

static void test_no_socket(void **state)
{
	struct fake *f = *state;

	assert_int_equal(fake_ctl(f, "status", NULL, NULL, NULL), CTL_NOT_RUNNING);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(
	    f->err,
	    "is bifrost running? start it with systemctl start bifrost, or give --runtime-dir"));
	assert_true(fake_says(f->err, f->dir));
}

static void test_socket_of_a_dead_gateway(void **state)
{
	struct fake *f = *state;

	fake_listen(f);
	(void)close(f->listener);
	f->listener = -1;
	assert_int_equal(fake_ctl(f, "drain", NULL, NULL, NULL), CTL_NOT_RUNNING);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(f->err, "is bifrost running?"));
}

static void test_folder_that_is_a_file(void **state)
{
	struct fake *f = *state;
	char dir[sizeof(f->dir)];

	fake_listen(f);
	memcpy(dir, f->dir, sizeof(dir));
	(void)snprintf(f->dir, sizeof(f->dir), "%.100s", f->socket);
	assert_int_equal(fake_ctl(f, "drain", NULL, NULL, NULL), CTL_NOT_RUNNING);
	memcpy(f->dir, dir, sizeof(dir));
}

static void test_folder_that_may_not_be_entered(void **state)
{
	struct fake *f = *state;
	bool root = geteuid() == 0;

	fake_listen(f);
	/* Root may enter every folder, so it becomes somebody else for a moment. */
	if (root)
		assert_int_equal(seteuid(65534), 0);
	else
		assert_int_equal(chmod(f->dir, 0), 0);
	int code = fake_ctl(f, "drain", NULL, NULL, NULL);
	if (root)
		assert_int_equal(seteuid(0), 0);
	else
		assert_int_equal(chmod(f->dir, 0700), 0);
	assert_int_equal(code, CTL_FAILED);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(f->err, root ? "only root may control" : "only root and user "));
}

static void say_ok(struct fake *f)
{
	fake_greet(f);
	struct bf_frame asked = fake_expect(f, BF_MSG_NODE_DRAIN, NULL);
	fake_reply(f, &asked, BF_MSG_OK, NULL, false);
	fake_expect_end(f);
}

/* Longer than the name of a socket may be. */
static void test_long_folder_name(void **state)
{
	struct fake *f = *state;
	char dir[sizeof(f->dir)], longer[sizeof(f->dir)];

	fake_start(f, say_ok);
	memcpy(dir, f->dir, sizeof(dir));
	(void)snprintf(longer, sizeof(longer), "%.60s-%0120d", dir, 1);
	assert_int_equal(rename(dir, longer), 0);
	memcpy(f->dir, longer, sizeof(longer));
	assert_int_equal(fake_ctl(f, "drain", NULL, NULL, NULL), CTL_OK);
	assert_int_equal(rename(longer, dir), 0);
	memcpy(f->dir, dir, sizeof(dir));
	fake_join(f);
}

static void say_other_build(struct fake *f)
{
	struct bf_frame asked = fake_expect(f, BF_MSG_HELLO, NULL);

	fake_refuse(f, &asked, BF_E_VERSION,
		    "the gateway is of build a, bifrostctl of build b: restart the gateway");
	fake_expect_end(f);
}

static void test_hello_refused(void **state)
{
	struct fake *f = *state;

	fake_start(f, say_other_build);
	assert_int_equal(fake_ctl(f, "drain", NULL, NULL, NULL), CTL_REFUSED);
	fake_join(f);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(f->err, "refused: the gateway is of build a"));
}

static void say_warning(struct fake *f)
{
	struct bf_frame asked = fake_expect(f, BF_MSG_HELLO, NULL);
	struct bf_msg_diag diag = {false, BF_SLICE_LIT("the builds differ")};

	fake_reply(f, &asked, BF_MSG_DIAG, &diag, true);
	fake_reply(f, &asked, BF_MSG_OK, NULL, false);
	asked = fake_expect(f, BF_MSG_NODE_DRAIN, NULL);
	fake_reply(f, &asked, BF_MSG_OK, NULL, false);
	fake_expect_end(f);
}

static void test_hello_with_a_warning(void **state)
{
	struct fake *f = *state;

	fake_start(f, say_warning);
	assert_int_equal(fake_ctl(f, "drain", NULL, NULL, NULL), CTL_OK);
	fake_join(f);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(f->err, "warning: the builds differ"));
}

static void say_nothing_and_close(struct fake *f)
{
	(void)f;
}

static void test_closed_at_once(void **state)
{
	struct fake *f = *state;

	fake_start(f, say_nothing_and_close);
	assert_int_equal(fake_ctl(f, "drain", NULL, NULL, NULL), CTL_REFUSED);
	fake_join(f);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(f->err, "closed the connection at once"));
}

static void greet_and_close(struct fake *f)
{
	fake_greet(f);
	(void)fake_expect(f, BF_MSG_NODE_DRAIN, NULL);
}

static void test_closed_later(void **state)
{
	struct fake *f = *state;

	fake_start(f, greet_and_close);
	assert_int_equal(fake_ctl(f, "drain", NULL, NULL, NULL), CTL_NOT_RUNNING);
	fake_join(f);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(f->err, "has it stopped?"));
}

static void say_garbage(struct fake *f)
{
	(void)fake_expect(f, BF_MSG_HELLO, NULL);
	(void)send(f->conn, "garbage", 7, MSG_NOSIGNAL);
	fake_expect_end(f);
}

static void say_other_version(struct fake *f)
{
	(void)fake_expect(f, BF_MSG_HELLO, NULL);
	(void)send(f->conn, "\2\1\32\0\0\4\0\30\1\0\0\0\0\0\0\0", 16, MSG_NOSIGNAL);
	fake_expect_end(f);
}

/* A message that the supervisor may not send to us. */
static void say_unpermitted(struct fake *f)
{
	struct bf_frame asked = fake_expect(f, BF_MSG_HELLO, NULL);

	fake_send(f, BF_MSG_STOP, FAKE_SUPERVISOR, asked.request, 0, NULL);
	fake_expect_end(f);
}

static void say_undecodable(struct fake *f)
{
	struct bf_frame asked = fake_expect(f, BF_MSG_HELLO, NULL);
	struct bf_frame bad = {.flags = BF_FRAME_REPLY | BF_FRAME_ERROR,
			       .type = BF_MSG_ERROR,
			       .source = FAKE_SUPERVISOR,
			       .target = FAKE_CTL,
			       .request = asked.request,
			       .body = BF_SLICE_LIT("\xc1"),
			       .fd = -1};

	(void)bf_frame_send_blocking(f->conn, &bad, NULL);
	fake_expect_end(f);
}

static void say_what_does_not_belong(struct fake *f)
{
	struct bf_frame asked = fake_expect(f, BF_MSG_HELLO, NULL);
	struct bf_msg_status status = {.process = BF_SLICE_LIT("supervisor")};

	fake_reply(f, &asked, BF_MSG_STATUS, &status, false);
	fake_expect_end(f);
}

static void test_nonsense_is_one_line_and_code_1(void **state)
{
	static void (*const scripts[])(struct fake *) = {say_garbage, say_other_version,
							 say_unpermitted, say_undecodable,
							 say_what_does_not_belong};
	static const char *const says[] = {"7 bytes", "version 2", "not permitted",
					   "cannot be read", "does not belong"};
	struct fake *f = *state;

	for (size_t i = 0; i < BF_ARRAY_LEN(scripts); i++) {
		fake_start(f, scripts[i]);
		assert_int_equal(fake_ctl(f, "drain", NULL, NULL, NULL), CTL_FAILED);
		fake_join(f);
		assert_true(fake_one_line(f->err));
		assert_true(fake_says(f->err, says[i]));
	}
}

/* A descriptor that nobody announced in the table, and answers to questions nobody asked. */
static void say_with_fd_and_strays(struct fake *f)
{
	struct bf_frame asked = fake_expect(f, BF_MSG_HELLO, NULL);

	fake_send(f, BF_MSG_OK, FAKE_SUPERVISOR, asked.request + 100, BF_FRAME_REPLY, NULL);
	struct bf_frame with_fd = {.flags = BF_FRAME_REPLY,
				   .type = BF_MSG_OK,
				   .source = FAKE_SUPERVISOR,
				   .target = FAKE_CTL,
				   .request = asked.request,
				   .fd = 0};
	(void)bf_frame_send_blocking(f->conn, &with_fd, NULL);
	fake_expect_end(f);
}

static void test_stray_answers_and_descriptors(void **state)
{
	struct fake *f = *state;

	fake_start(f, say_with_fd_and_strays);
	assert_int_equal(fake_ctl(f, "drain", NULL, NULL, NULL), CTL_FAILED);
	fake_join(f);
	assert_true(fake_says(f->err, "FD flag"));
	/* The teardown counts descriptors. */
}

static int64_t far_ahead;

static int64_t leap(void *ctx BF_UNUSED)
{
	return far_ahead += INT64_C(20) * 1000000000;
}

static void stay_silent(struct fake *f)
{
	struct bf_frame frame;

	/* Its own waits run on the same leaping clock: it only holds the connection open. */
	for (int i = 0; i < 3; i++)
		(void)bf_frame_recv_blocking(f->conn, f->buf, 1000, &frame, NULL);
	(void)usleep(300000);
}

static void test_no_answer(void **state)
{
	static const struct bf_clock_source source = {leap, leap, NULL};
	struct fake *f = *state;

	bf_clock_set_source(&source);
	fake_start(f, stay_silent);
	int code = fake_ctl(f, "drain", NULL, NULL, NULL);
	fake_join(f);
	bf_clock_set_source(NULL);
	assert_int_equal(code, CTL_FAILED);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(f->err, "does not answer"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_FAKE(test_no_socket),
	    WITH_FAKE(test_socket_of_a_dead_gateway),
	    WITH_FAKE(test_folder_that_is_a_file),
	    WITH_FAKE(test_folder_that_may_not_be_entered),
	    WITH_FAKE(test_long_folder_name),
	    WITH_FAKE(test_hello_refused),
	    WITH_FAKE(test_hello_with_a_warning),
	    WITH_FAKE(test_closed_at_once),
	    WITH_FAKE(test_closed_later),
	    WITH_FAKE(test_nonsense_is_one_line_and_code_1),
	    WITH_FAKE(test_stray_answers_and_descriptors),
	    WITH_FAKE(test_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
