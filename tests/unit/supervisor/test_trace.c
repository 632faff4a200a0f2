/* The trace: what is shown, to whom, and who is dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "desk.h"

static unsigned traced(int fd, uint16_t type)
{
	unsigned n = 0;
	struct bf_frame f;

	while (get(fd, &f, 100) == 0) {
		struct bf_msg_traced t;
		struct bf_frame inner;
		struct bf_arena arena;

		if (f.type != BF_MSG_TRACED)
			continue;
		assert_true(f.flags & BF_FRAME_MORE);
		bf_arena_init(&arena, 200000);
		assert_int_equal(bf_msg_decode(f.type, f.body, &t, &arena, NULL), 0);
		assert_int_equal(bf_frame_decode(t.frame, -1, &inner, NULL), 0);
		n += inner.type == type;
		bf_arena_done(&arena);
	}
	return n;
}

static void test_trace(void **state)
{
	struct bf_frame f;
	int watcher, asker;

	(void)state;
	begin("obey");
	watcher = greet();
	asker = greet();
	put(watcher, BF_MSG_TRACE, SUPERVISOR, 9, 0);
	world_run(&w, 50);
	put(asker, BF_MSG_STATUS_GET, WRITERD, 1, 0);
	assert_int_equal(get(asker, &f, 5000), 0);
	(void)kill(crew_find(&w.crew, DISCOVERYD)->pid, SIGKILL);
	WORLD_UNTIL(&w, w.gone == 1);
	WORLD_UNTIL(&w, world_all_ready(&w));
	/* The question once, although it passed under two ids; then what the successor was sent. */
	put(asker, BF_MSG_STATUS_GET, DISCOVERYD, 2, 0);
	assert_int_equal(get(asker, &f, 5000), 0);
	assert_int_equal(traced(watcher, BF_MSG_STATUS_GET), 2);
	assert_int_equal(r.trace.count, 1);
	put(watcher, BF_MSG_TRACE, SUPERVISOR, 9, BF_FRAME_CANCEL);
	world_run(&w, 50);
	assert_int_equal(r.trace.count, 0);
	put(asker, BF_MSG_STATUS_GET, WRITERD, 3, 0);
	assert_int_equal(traced(watcher, BF_MSG_STATUS_GET), 0);
	/* A watcher that goes away is forgotten too. */
	put(watcher, BF_MSG_TRACE, SUPERVISOR, 10, 0);
	world_run(&w, 50);
	assert_int_equal(r.trace.count, 1);
	(void)close(watcher);
	world_run(&w, 50);
	assert_int_equal(r.trace.count, 0);
	(void)close(asker);
}

static void test_slow_watcher_is_dropped(void **state)
{
	char body[30000];
	struct bf_frame f = {.type = BF_MSG_STATUS, .body = {body, sizeof(body)}, .fd = -1};
	int fd;

	(void)state;
	begin("obey");
	fd = greet();
	memset(body, 0, sizeof(body));
	put(fd, BF_MSG_TRACE, SUPERVISOR, 9, 0);
	world_run(&w, 50);
	assert_int_equal(r.trace.count, 1);
	for (int i = 0; i < 2000 && r.trace.count; i++)
		trace_frame(&r.trace, &f, NULL);
	assert_int_equal(r.trace.count, 0);
	assert_int_equal(r.trace.dropped_readers, 1);
	/* The connection itself is whole: what waited is read, then the reason, and it may ask
	 * again. */
	while (get(fd, &f, 5000) == 0 && f.type == BF_MSG_TRACED)
		continue;
	assert_int_equal(f.type, BF_MSG_ERROR);
	put(fd, BF_MSG_STATUS_GET, WRITERD, 11, 0);
	assert_int_equal(get(fd, &f, 5000), 0);
	assert_int_equal(f.type, BF_MSG_OK);
	(void)close(fd);
}

static void test_longest_frame_is_cut_for_the_trace(void **state)
{
	static char body[BF_FRAME_MAX_BODY];
	struct bf_frame f = {.type = BF_MSG_STATUS, .body = {body, sizeof(body)}, .fd = -1};
	struct bf_frame got;
	int fd;

	(void)state;
	begin("obey");
	fd = greet();
	put(fd, BF_MSG_TRACE, SUPERVISOR, 9, 0);
	world_run(&w, 50);
	trace_frame(&r.trace, &f, NULL);
	assert_int_equal(get(fd, &got, 5000), 0);
	assert_int_equal(got.type, BF_MSG_TRACED);
	assert_true(got.body.len > BF_FRAME_MAX_BODY - 400);
	(void)close(fd);
}

static void test_one_trace_per_connection(void **state)
{
	struct trace t = {.admin = &w.admin};
	struct admin_ticket one = {.index = 3, .request = 1, .generation = 1},
			    nobody = {.index = 4};

	(void)state;
	assert_int_equal(trace_start(&t, &nobody), BF_E_MISSING);
	assert_int_equal(trace_start(&t, &one), 0);
	assert_int_equal(trace_start(&t, &one), BF_E_DUPLICATE);
	assert_int_equal(t.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_trace, teardown),
	    cmocka_unit_test_teardown(test_slow_watcher_is_dropped, teardown),
	    cmocka_unit_test_teardown(test_longest_frame_is_cut_for_the_trace, teardown),
	    cmocka_unit_test(test_one_trace_per_connection),
	};

	fake_child_main();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
