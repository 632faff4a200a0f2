/* Reading the configuration through the helper process, and what reload makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "helper.h"
#include "supervisor/config.h"
#include "supervisor/reload.h"
#include "supervisor/roll.h"
#include "supervisor/watch.h"

static struct world w;
static char path[128];

static void write_file(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

/* ------------------------------------------------------------------ one job */

static struct config_job job;
static int job_code;
static bool job_done, job_ok;
static struct bf_err job_err;
static struct bf_config own;
static struct bf_arena own_arena;

static void on_done(struct config_job *j, int code, const struct bf_bundle *bundle,
		    const struct bf_err *err)
{
	assert_ptr_equal(j, &job);
	job_done = true;
	job_code = code;
	job_err = *err;
	job_ok = code == 0 && bundle->ok;
	if (job_ok)
		assert_int_equal(config_decode_own(bundle, &own_arena, &own, NULL), 0);
}

static void on_job_chld(struct ev_loop *loop, ev_signal *s, int revents)
{
	int status;
	pid_t pid;

	(void)loop;
	(void)s;
	(void)revents;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		assert_true(config_job_reaped(&job, pid, status));
}

static int setup(void **state)
{
	static char *environment[] = {NULL};

	(void)state;
	world_init(&w, 1);
	ev_signal_stop(w.loop, &w.chld);
	ev_signal_init(&w.chld, on_job_chld, SIGCHLD);
	ev_signal_start(w.loop, &w.chld);
	(void)snprintf(path, sizeof(path), "%.64s/words", w.folders.runtime);
	memset(&job, 0, sizeof(job));
	job.loop = w.loop;
	job.helper = w.binaries.fds[BF_ROLE_PROXYD];
	job.file = path;
	job.user = "";
	job.inherited_env = environment;
	job.on_done = on_done;
	job_done = job_ok = false;
	bf_arena_init(&own_arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_job_cancel(&job);
	bf_arena_done(&own_arena);
	world_done(&w);
	return 0;
}

static void run_job(const char *text)
{
	struct bf_err err = {0};

	write_file(text);
	job_done = false;
	assert_int_equal(config_job_start(&job, &err), 0);
	assert_int_equal(config_job_start(&job, &err), BF_E_STATE);
	WORLD_UNTIL(&w, job_done);
	assert_false(job.running);
}

static void test_good_bundle(void **state)
{
	(void)state;
	run_job("listen=127.0.0.1:99 workers=7 ready_ms=1234");
	assert_int_equal(job_code, 0);
	assert_true(job_ok);
	assert_int_equal(own.supervisor.workers, 7);
	assert_int_equal(own.supervisor.ready_timeout_ms, 1234);
	assert_int_equal(own.server.listen.count, 1);
	/* A second one after the first. */
	run_job("listen=127.0.0.1:99 workers=8");
	assert_int_equal(own.supervisor.workers, 8);
}

static void test_refused_file(void **state)
{
	(void)state;
	run_job("wrong");
	assert_int_equal(job_code, 0);
	assert_false(job_ok);
}

static void test_helpers_that_fail(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *needle;
	} cases[] = {
	    {"empty", BF_E_CLOSED, "exit 9"},
	    {"garbage", 0, "cannot be read"},
	    {"listen=a cut", 0, "cannot be read"},
	    {"huge", BF_E_CLOSED, "without an answer"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		run_job(cases[i].text);
		assert_true(job_code < 0);
		if (cases[i].code)
			assert_int_equal(job_code, cases[i].code);
		assert_non_null(strstr(job_err.text, cases[i].needle));
		assert_non_null(strstr(job_err.text, path));
	}
}

static void test_helper_that_hangs(void **state)
{
	struct bf_err err = {0};

	(void)state;
	write_file("hang");
	assert_int_equal(config_job_start(&job, &err), 0);
	/* The deadline itself, without its wait. */
	world_run(&w, 50);
	ev_feed_event(w.loop, &job.deadline, EV_TIMER);
	WORLD_UNTIL(&w, job_done);
	assert_int_equal(job_code, BF_E_TIMEOUT);
	write_file("hang");
	assert_int_equal(config_job_start(&job, &err), 0);
	config_job_cancel(&job);
	assert_false(job.running);
}

static void test_files_that_cannot_be_opened(void **state)
{
	struct bf_err err = {0};

	(void)state;
	(void)unlink(path);
	assert_int_equal(config_job_start(&job, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(config_job_start(&job, &err), BF_E_TYPE);
	assert_false(job.running);
	config_job_cancel(&job);
}

/* ------------------------------------------------------------------ rolling */

static struct roll roll;
static unsigned roll_done;
static const struct seat *roll_failed;
static char roll_text[512];

static void on_roll_done(struct roll *r, const struct seat *failed, const struct bf_err *err)
{
	assert_ptr_equal(r, &roll);
	roll_done++;
	roll_failed = failed;
	(void)snprintf(roll_text, sizeof(roll_text), "%s", err->text);
}

static void on_rolled(void *owner, struct seat *seat, bool ok)
{
	world_on_rolled(owner, seat, ok);
	roll_on_seat(&roll, seat, ok);
}

static struct crew_events roll_events;

static int setup_roll(void **state)
{
	(void)state;
	world_init(&w, 3);
	roll_events = world_events;
	roll_events.on_rolled = on_rolled;
	w.crew.events = &roll_events;
	assert_int_equal(crew_init(&w.crew, &w.slices, 3), 0);
	crew_start(&w.crew);
	WORLD_UNTIL(&w, world_all_ready(&w));
	memset(&roll, 0, sizeof(roll));
	roll.on_done = on_roll_done;
	roll_done = 0;
	return 0;
}

static int teardown_roll(void **state)
{
	(void)state;
	roll_clear(&roll);
	world_done(&w);
	return 0;
}

static struct seat *worker(uint32_t i)
{
	return crew_seat(&w.crew, BF_ENDPOINT(BF_ROLE_PROXYD, i));
}

static void test_one_after_the_other(void **state)
{
	pid_t before[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		before[i] = worker(i)->serving->pid;
		assert_int_equal(roll_add(&roll, worker(i), -1), 0);
	}
	roll_start(&roll);
	assert_true(roll.running);
	/* Never more than one seat on its way. */
	while (!roll_done) {
		unsigned moving = 0;

		for (uint32_t i = 0; i < 3; i++)
			moving += worker(i)->state != SEAT_READY;
		assert_true(moving <= 1);
		world_run(&w, 1);
	}
	assert_null(roll_failed);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_not_equal(worker(i)->serving->pid, before[i]);
}

static void test_stops_at_the_first_failure(void **state)
{
	int bad = config_of("crash");
	pid_t third = worker(2)->serving->pid;

	(void)state;
	assert_int_equal(roll_add(&roll, worker(0), -1), 0);
	assert_int_equal(roll_add(&roll, worker(1), bad), 0);
	assert_int_equal(roll_add(&roll, worker(2), -1), 0);
	(void)close(bad);
	roll_start(&roll);
	WORLD_UNTIL(&w, roll_done == 1);
	assert_ptr_equal(roll_failed, worker(1));
	assert_int_equal(roll.at, 1);
	assert_non_null(strstr(roll_text, "proxyd.1"));
	assert_int_equal(worker(2)->serving->pid, third);
	assert_false(roll.running);
}

static void test_nothing_to_do(void **state)
{
	(void)state;
	roll_start(&roll);
	assert_int_equal(roll_done, 1);
	assert_null(roll_failed);
	/* News of a seat that nobody waits for. */
	roll_on_seat(&roll, worker(0), false);
	assert_int_equal(roll_done, 1);
	assert_int_equal(roll_add(&roll, worker(0), 9999), -EBADF);
}

/* ------------------------------------------------------------------ heartbeats */

static void test_judgement(void **state)
{
	(void)state;
	assert_int_equal(watch_judge(1000, 0, 1000, 30000), WATCH_FINE);
	assert_int_equal(watch_judge(0, 0, WATCH_LATE_MS, 30000), WATCH_FINE);
	assert_int_equal(watch_judge(0, 0, WATCH_LATE_MS + 1, 30000), WATCH_LATE);
	assert_int_equal(watch_judge(0, 0, 30000, 30000), WATCH_LATE);
	assert_int_equal(watch_judge(0, 0, 30001, 30000), WATCH_STALLED);
	/* Time before it was ready, or while we were away, does not count. */
	assert_int_equal(watch_judge(0, 25000, 30001, 30000), WATCH_FINE);
	assert_int_equal(watch_judge(5000, 4000, 40000, 30000), WATCH_STALLED);
	/* A beat from the future (its clock was read after ours). */
	assert_int_equal(watch_judge(50000, 0, 40000, 30000), WATCH_FINE);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_good_bundle, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refused_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_helpers_that_fail, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_helper_that_hangs, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_files_that_cannot_be_opened, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_one_after_the_other, setup_roll, teardown_roll),
	    cmocka_unit_test_setup_teardown(test_stops_at_the_first_failure, setup_roll,
					    teardown_roll),
	    cmocka_unit_test_setup_teardown(test_nothing_to_do, setup_roll, teardown_roll),
	    cmocka_unit_test(test_judgement),
	};

	helper_main(argc, argv);
	fake_child_main();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
