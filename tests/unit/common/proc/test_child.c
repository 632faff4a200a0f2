/* A whole child, from exec to exit, under a supervisor that behaves. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/proc/contract.h"
#include "tests/support/forked.h"
#include "tests/unit/common/proc/child_script.h"

static void ready_comes_after_hello(void **state)
{
	struct script s;
	struct bf_frame f;

	(void)state;
	script_start(&s, "");
	assert_int_equal(script_receive(&s, 300, &f), BF_E_TIMEOUT);
	script_send_hello(&s);
	assert_int_equal(script_receive(&s, 10000, &f), 0);
	assert_int_equal(f.type, BF_MSG_READY);
	assert_int_equal(f.target, SUPERVISOR);
	assert_int_equal(f.body.len, 0);
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
	assert_int_equal(script_note_of_stop(&s), 's');
	script_finish(&s);
}

/* Nor is READY ever said before. */
static void a_long_start_says_that_it_goes_on(void **state)
{
	unsigned told = 0;
	struct script s;
	struct bf_frame f;

	(void)state;
	script_start(&s, "starts_slowly");
	script_send_hello(&s);
	do {
		assert_int_equal(script_receive(&s, 10000, &f), 0);
		told += f.type == BF_MSG_STARTING;
	} while (f.type == BF_MSG_STARTING);
	assert_int_equal(f.type, BF_MSG_READY);
	assert_int_equal(told, 2);
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
}

/* It serves meanwhile, and says so once. */
static void ready_may_come_later(void **state)
{
	const struct bf_msg_listen_slot slot = {40}, answered = {41};
	struct bf_msg_status status;
	struct bf_arena arena;
	struct script s;

	(void)state;
	bf_arena_init(&arena, 1u << 20);
	script_start(&s, "ready_later");
	script_send_hello(&s);
	script_ask_status(&s, &arena, &status);
	script_send_msg(&s, BF_MSG_ADOPT, SUPERVISOR, 0, 0, &slot);
	script_expect(&s, BF_MSG_READY);
	script_send_msg(&s, BF_MSG_ADOPT, SUPERVISOR, 0, 0, &answered);
	script_expect(&s, BF_MSG_DRAINED);
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
	bf_arena_done(&arena);
	script_finish(&s);
}

static const char *item(const struct bf_msg_status *status, const char *name)
{
	const struct bf_msg_status_item *list = status->items.items;

	for (uint32_t i = 0; i < status->items.count; i++) {
		if (bf_slice_is(list[i].name, name))
			return list[i].value.ptr;
	}
	fail_msg("status has no %s", name);
	return NULL;
}

static void status_tells_what_it_is(void **state)
{
	struct script s;
	struct bf_msg_status status;
	struct bf_arena arena;
	bool root = geteuid() == 0;
	const struct change change[] = {{BF_ENV_USER, root ? "nobody" : ""}, {NULL, NULL}};
	char uid[16];

	(void)state;
	bf_arena_init(&arena, 1u << 20);
	script_start_with(&s, -1, change);
	script_send_hello(&s);
	script_expect(&s, BF_MSG_READY);
	script_ask_status(&s, &arena, &status);
	assert_true(bf_slice_is(status.process, "proxyd.2"));
	assert_int_equal(status.pid, s.pid);
	assert_in_range(status.uptime_ms, 0, 20000);
	(void)snprintf(uid, sizeof(uid), "%u", root ? 65534u : (unsigned)getuid());
	assert_string_equal(item(&status, "uid"), uid);
	assert_string_equal(item(&status, "version"), bf_version());
	assert_string_equal(item(&status, "build"), bf_build_id());
	assert_string_equal(item(&status, "proc_slot"), "9");
	assert_string_equal(item(&status, "state_dir"), "/tmp");
	assert_string_equal(item(&status, "runtime_dir"), "/var/tmp");
	assert_string_equal(item(&status, "header_timeout_ms"), "12345");
	assert_string_equal(item(&status, "config_fd_open"), "0");
	assert_memory_equal(item(&status, "sandbox"), "seccomp", 7);
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
	bf_arena_done(&arena);
}

static void a_long_status_is_cut_to_its_bounds(void **state)
{
	struct script s;
	struct bf_msg_status status;
	struct bf_arena arena;

	(void)state;
	bf_arena_init(&arena, 1u << 20);
	script_start_ready(&s, "status_is_long");
	script_ask_status(&s, &arena, &status);
	assert_int_equal(status.items.count, BF_STATUS_MAX_ITEMS);
	assert_int_equal(strlen(item(&status, "filler")), 512);
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
	bf_arena_done(&arena);
}

static void handlers_get_decoded_messages(void **state)
{
	struct script s;
	struct bf_frame f;

	(void)state;
	script_start_ready(&s, "");
	script_send_msg(&s, BF_MSG_ADOPT, SUPERVISOR, 0, 0, &(struct bf_msg_listen_slot){40});
	script_send_msg(&s, BF_MSG_ADOPT, SUPERVISOR, 0, 0, &(struct bf_msg_listen_slot){41});
	script_expect(&s, BF_MSG_DRAINED);
	/* permitted, without a handler, and nobody waits for an answer */
	script_send_msg(&s, BF_MSG_RELEASE, SUPERVISOR, 0, 0, &(struct bf_msg_listen_slot){41});
	script_send_msg(&s, BF_MSG_RELEASE, SUPERVISOR, 88, 0, &(struct bf_msg_listen_slot){41});
	/* a cancelled question needs no answer */
	script_send_msg(&s, BF_MSG_STATUS_GET, CTL, 78, BF_FRAME_CANCEL, NULL);
	script_send_msg(&s, BF_MSG_STATUS_GET, CTL, 79, 0, NULL);
	do {
		assert_int_equal(script_receive(&s, 10000, &f), 0);
		assert_int_not_equal(f.request, 78);
	} while (f.request != 79);
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
}

static void what_stop_sends_still_arrives(void **state)
{
	struct script s;

	(void)state;
	script_start_ready(&s, "stop_answers");
	script_send_plain(&s, BF_MSG_STOP);
	script_expect(&s, BF_MSG_DRAINED);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
}

/* Even when the channel is full of unread answers at that moment. */
static void what_stop_sends_arrives_behind_a_queue(void **state)
{
	struct script s;
	struct bf_frame f;
	int replies = 0;

	(void)state;
	script_start_ready(&s, "stop_answers");
	for (uint32_t i = 0; i < 1000; i++)
		script_send_msg(&s, BF_MSG_STATUS_GET, CTL, 1 + i, 0, NULL);
	script_send_plain(&s, BF_MSG_STOP);
	while (script_receive(&s, 10000, &f) == 0 && f.type == BF_MSG_STATUS)
		replies++;
	assert_int_equal(replies, 1000);
	assert_int_equal(f.type, BF_MSG_DRAINED);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
}

static void the_first_leave_decides(void **state)
{
	struct script s;

	(void)state;
	script_start_ready(&s, "drain_leaves_twice");
	script_send_plain(&s, BF_MSG_DRAIN);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
}

static uint64_t beats(const struct script *s)
{
	uint64_t n = 0;

	return read(s->doorbell, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* Waited for by beats: whoever sleeps on a busy machine sleeps longer. One may be late, the next in
 * time. */
static void the_heart_beats_once_a_second(void **state)
{
	struct pollfd rung = {.events = POLLIN};
	struct script s;
	int64_t begun;
	uint64_t n = 0;

	(void)state;
	script_start_ready(&s, "");
	rung.fd = s.doorbell;
	begun = bf_mono_ms();
	(void)beats(&s);
	while (n < 4) {
		assert_int_equal(poll(&rung, 1, 30000), 1);
		n += beats(&s);
	}
	assert_true(bf_mono_ms() - begun >= 1900);
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
}

static void the_title_names_the_worker(void **state)
{
	struct script s;
	char path[64], text[128] = "";
	int fd;

	(void)state;
	script_start_ready(&s, "");
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)s.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "bifrost-proxyd: worker 2");
	(void)close(fd);
	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)s.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	memset(text, 0, sizeof(text));
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "bifrost-proxyd\n");
	(void)close(fd);
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
}

static void signals_are_the_supervisors_business(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGIO};
	struct script s;
	struct bf_msg_status status;
	struct bf_arena arena;

	(void)state;
	bf_arena_init(&arena, 1u << 20);
	script_start_ready(&s, "");
	for (size_t i = 0; i < BF_ARRAY_LEN(signals); i++) {
		assert_int_equal(kill(s.pid, signals[i]), 0);
		script_ask_status(&s, &arena, &status);
	}
	script_send_plain(&s, BF_MSG_STOP);
	script_expect_exit(&s, BF_EXIT_OK);
	script_finish(&s);
	bf_arena_done(&arena);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ready_comes_after_hello),
	    cmocka_unit_test(a_long_start_says_that_it_goes_on),
	    cmocka_unit_test(ready_may_come_later),
	    cmocka_unit_test(status_tells_what_it_is),
	    cmocka_unit_test(a_long_status_is_cut_to_its_bounds),
	    cmocka_unit_test(handlers_get_decoded_messages),
	    cmocka_unit_test(what_stop_sends_still_arrives),
	    cmocka_unit_test(what_stop_sends_arrives_behind_a_queue),
	    cmocka_unit_test(the_first_leave_decides),
	    cmocka_unit_test(the_heart_beats_once_a_second),
	    cmocka_unit_test(the_title_names_the_worker),
	    cmocka_unit_test(signals_are_the_supervisors_business),
	};

	if (getenv(BF_ENV_ROLE) != NULL)
		return be_child(argc, argv);
	return cmocka_run_group_tests_name("common/proc/child", tests, NULL, NULL);
}
