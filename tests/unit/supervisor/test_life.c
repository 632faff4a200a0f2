/* Whole lives of a supervisor whose programs are all this test program: start, reload, restart,
 * stop, failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "common/base/clock.h"
#include "helper.h"
#include "shm/health.h"
#include "supervisor/supervisor.h"

static char home[64], file[96], runtime[96];
static int notify_fd = -1, log_fd = -1;
static pid_t pid;
static char address[OWN_ADDRESS_SIZE];
static unsigned port = 8001;

static void link_program(const char *self, const char *name)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%.64s/%s", home, name);
	assert_int_equal(symlink(self, path), 0);
}

static void open_notify(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.64s/notify", home);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(notify_fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", a.sun_path, 1), 0);
}

static int setup(void **state)
{
	char self[1024];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	self[n] = '\0';
	make_folder(home, sizeof(home));
	(void)snprintf(file, sizeof(file), "%s/words", home);
	(void)snprintf(runtime, sizeof(runtime), "%s/run", home);
	for (size_t i = 0; i < plan_row_count; i++) {
		if (plan_rows[i].role != BF_ROLE_READER) /* the writer's program */
			link_program(self, plan_rows[i].binary);
	}
	link_program(self, "bifrost-config");
	assert_int_equal(setenv("BIFROST_LIBEXEC_DIR", home, 1), 0);
	assert_int_equal(setenv(BF_ENV_RUNTIME_DIR, runtime, 1), 0);
	assert_int_equal(setenv(BF_ENV_STATE_DIR, runtime, 1), 0);
	open_notify();
	own_address(address);
	pid = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	(void)close(notify_fd);
	if (log_fd >= 0)
		(void)close(log_fd);
	log_fd = -1;
	remove_folder(home);
	return 0;
}

static void put_words(const char *words)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "listen=%s:%u workers=2 %s", address, port, words);
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, (size_t)n), n);
	(void)close(fd);
}

static void launch(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/log", home);
	log_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	pid = fork();
	if (pid == 0) {
		struct options options = {.mode = OPTIONS_RUN, .file = file};

		(void)dup2(log_fd, STDERR_FILENO);
		_exit(supervisor_run(&options, environ));
	}
}

static bool log_has(const char *needle)
{
	static char text[262144];
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, needle) != NULL;
}

static void until_log(const char *needle)
{
	for (int i = 0; i < 4000 && !log_has(needle); i++)
		(void)usleep(5000);
	if (!log_has(needle))
		fail_msg("never logged: %s", needle);
}

/* Waits for a line of sd_notify. */
static void until_told(const char *line)
{
	struct timeval limit = {.tv_sec = 60};
	char text[512];
	ssize_t n;

	assert_int_equal(setsockopt(notify_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	do {
		n = recv(notify_fd, text, sizeof(text) - 1, 0);
		/* With a limit it ends so when this process was stopped and goes on. */
		if (n < 0 && errno != EINTR)
			fail_msg("never told: %s", line);
		text[n < 0 ? 0 : n] = '\0';
	} while (!strstr(text, line));
}

static int wait_exit(void)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	pid = 0;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void start(const char *words)
{
	put_words(words);
	launch();
	until_told("READY=1");
}

/* ------------------------------------------------------------------ bifrostctl's part */

static int dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/control.sock", runtime);
	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* The type of the last part of the answer; the number of parts before it. */
static uint16_t ask(int fd, uint16_t type, const void *message, unsigned *ret_parts)
{
	static uint8_t buf[BF_FRAME_MAX];
	static uint32_t request;
	struct bf_frame f = {.type = type,
			     .source = BF_ENDPOINT(BF_ROLE_CTL, 0),
			     .target = BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0),
			     .request = ++request,
			     .fd = -1};
	struct bf_buf body;
	unsigned parts = 0;

	bf_buf_init(&body, 65536);
	assert_int_equal(bf_msg_encode(type, message, &body), 0);
	f.body = bf_buf_slice(&body);
	assert_int_equal(bf_frame_send_blocking(fd, &f, NULL), 0);
	bf_buf_done(&body);
	while (bf_frame_recv_blocking(fd, buf, 20000, &f, NULL) == 0) {
		assert_int_equal(f.request, request);
		if (!(f.flags & BF_FRAME_MORE)) {
			if (ret_parts)
				*ret_parts = parts;
			return f.type;
		}
		parts++;
	}
	fail_msg("no answer");
	return 0;
}

static int greet(void)
{
	struct bf_msg_hello hello = {.protocol = BF_FRAME_VERSION};
	int fd = dial();

	assert_int_equal(ask(fd, BF_MSG_HELLO, &hello, NULL), BF_MSG_OK);
	return fd;
}

/* ------------------------------------------------------------------ tests */

static void test_life_and_commands(void **state)
{
	struct bf_msg_restart restart = {.name = BF_SLICE_LIT("proxyd.1")},
			      nobody = {.name = BF_SLICE_LIT("proxyd.2")};
	struct bf_msg_node_drain on = {.on = true};
	unsigned parts;
	int fd;

	(void)state;
	start("warn");
	fd = greet();
	assert_int_equal(ask(fd, BF_MSG_CHILDREN_GET, NULL, &parts), BF_MSG_OK);
	assert_int_equal(parts, 6);
	assert_int_equal(ask(fd, BF_MSG_STATUS_GET, NULL, &parts), BF_MSG_STATUS);
	assert_int_equal(ask(fd, BF_MSG_RESTART, &restart, NULL), BF_MSG_OK);
	assert_int_equal(ask(fd, BF_MSG_RESTART, &nobody, NULL), BF_MSG_ERROR);
	assert_int_equal(ask(fd, BF_MSG_NODE_DRAIN, &on, NULL), BF_MSG_OK);
	until_told("STATUS=draining");
	assert_int_equal(ask(fd, BF_MSG_CLOCK_ACCEPT, NULL, NULL), BF_MSG_OK);
	(void)kill(pid, SIGTERM);
	until_told("STOPPING=1");
	assert_int_equal(wait_exit(), 0);
	assert_true(log_has("f:1:1: warning: odd"));
	assert_true(log_has("event=clock_accepted"));
	(void)close(fd);
}

static void test_wrong_protocol(void **state)
{
	struct bf_msg_hello hello = {.protocol = 99};
	int fd;

	(void)state;
	start("");
	fd = dial();
	assert_int_equal(ask(fd, BF_MSG_HELLO, &hello, NULL), BF_MSG_ERROR);
	(void)close(fd);
}

static void test_reloads(void **state)
{
	unsigned parts;
	int fd;

	(void)state;
	start("hash=a");
	fd = greet();
	/* Nothing a child sees has changed. */
	put_words("hash=b");
	assert_int_equal(ask(fd, BF_MSG_RELOAD, NULL, NULL), BF_MSG_OK);
	until_log("config=b");
	/* The workers' slice has changed, and good it is ("parts" obeys too). */
	put_words("hash=c proxyd=parts");
	assert_int_equal(ask(fd, BF_MSG_RELOAD, NULL, NULL), BF_MSG_OK);
	until_log("config=c");
	/* A refused file: one part for each line. */
	put_words("wrong");
	assert_int_equal(ask(fd, BF_MSG_RELOAD, NULL, &parts), BF_MSG_ERROR);
	assert_int_equal(parts, 2);
	/* Its successors crash: the old ones stay. */
	put_words("hash=d proxyd=crash");
	assert_int_equal(ask(fd, BF_MSG_RELOAD, NULL, &parts), BF_MSG_ERROR);
	assert_false(log_has("config=d"));
	/* The first role takes it, the second does not: the first goes back. */
	put_words("hash=e writerd=stray proxyd=crash");
	assert_int_equal(ask(fd, BF_MSG_RELOAD, NULL, &parts), BF_MSG_ERROR);
	put_words("hash=f");
	assert_int_equal(ask(fd, BF_MSG_RELOAD, NULL, &parts), BF_MSG_OK);
	until_log("config=f");
	/* What needs a start. */
	port++;
	put_words("hash=g");
	assert_int_equal(ask(fd, BF_MSG_RELOAD, NULL, &parts), BF_MSG_ERROR);
	until_log("server.listen: cannot change");
	(void)kill(pid, SIGHUP);
	until_told("RELOADING=1");
	until_told("READY=1");
	(void)close(fd);
	(void)kill(pid, SIGTERM);
	assert_int_equal(wait_exit(), 0);
}

static void test_starts_that_fail(void **state)
{
	static const struct {
		const char *words;
		int code;
		const char *line;
	} cases[] = {
	    {"wrong", BF_EXIT_CONFIG, "wrong word"},
	    {"garbage", BF_EXIT_CONFIG, "cannot be read"},
	    {"empty", BF_EXIT_FAILED, "without an answer"},
	    {"listen=nonsense", BF_EXIT_FAILED, "nonsense"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		put_words(cases[i].words);
		launch();
		assert_int_equal(wait_exit(), cases[i].code);
		if (!log_has(cases[i].line))
			fail_msg("not said: %s", cases[i].line);
		(void)close(log_fd);
	}
	log_fd = -1;
}

static void test_stop_while_reading(void **state)
{
	(void)state;
	put_words("hang");
	launch();
	until_log("it hangs");
	(void)kill(pid, SIGTERM);
	assert_int_equal(wait_exit(), BF_EXIT_FAILED);
	assert_true(log_has("stopped before"));
}

/* One child came so late that it was missed. */
static void test_ready_means_in_health(void **state)
{
	struct bf_err err = {0};
	struct shm_segment seg;
	char path[128];
	int fd;

	(void)state;
	start("proxyd=late");
	(void)snprintf(path, sizeof(path), "%s/segment", runtime);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(shm_segment_attach(fd, true, NULL, &seg, &err), 0);
	assert_int_equal(shm_health_all(&seg) >> SHM_H_CHILD_MISSING & 1, 0);
	shm_segment_detach(&seg);
	(void)close(fd);
}

static void test_three_signals(void **state)
{
	static const char *const heard[] = {"event=stopping ", "times=2", "times=3"};

	(void)state;
	start("proxyd=deaf");
	for (int i = 0; i < 3; i++) {
		(void)kill(pid, SIGINT);
		until_log(heard[i]);
	}
	assert_int_equal(wait_exit(), 0);
	assert_true(log_has("third time"));
}

static void test_second_supervisor(void **state)
{
	pid_t first;
	int first_log;

	(void)state;
	start("");
	first = pid;
	first_log = log_fd;
	/* Its name is not "bifrost", so it is taken for leftovers and waited for. */
	launch();
	assert_int_equal(wait_exit(), BF_EXIT_RUNNING);
	(void)close(log_fd);
	pid = first;
	log_fd = first_log;
	(void)kill(pid, SIGTERM);
	assert_int_equal(wait_exit(), 0);
}

static void test_killed_and_taken_over(void **state)
{
	(void)state;
	start("");
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)close(log_fd);
	start("");
	assert_true(log_has("taken over"));
	(void)kill(pid, SIGTERM);
	assert_int_equal(wait_exit(), 0);
}

/* ------------------------------------------------------------------ the clock of windows */

static int64_t *jump_ns; /* shared with the supervisor: how far its wall clock was set ahead */

static int64_t true_ns(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t true_mono(void *ctx)
{
	(void)ctx;
	return true_ns(CLOCK_MONOTONIC);
}

static int64_t jumping_wall(void *ctx)
{
	(void)ctx;
	return true_ns(CLOCK_REALTIME) + __atomic_load_n(jump_ns, __ATOMIC_SEQ_CST);
}

/* It is not believed until a person says so. */
static void test_clock_that_jumps(void **state)
{
	static const struct bf_clock_source source = {true_mono, jumping_wall, NULL};
	int fd;

	(void)state;
	jump_ns =
	    mmap(NULL, sizeof(*jump_ns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(jump_ns != MAP_FAILED);
	bf_clock_set_source(&source);
	start("");
	bf_clock_set_source(NULL);
	fd = greet();
	__atomic_store_n(jump_ns, INT64_C(120) * 1000000000, __ATOMIC_SEQ_CST);
	until_log("event=clock_jumped_ahead ahead_ms=1");
	assert_false(log_has("event=clock_believed"));
	assert_int_equal(ask(fd, BF_MSG_CLOCK_ACCEPT, NULL, NULL), BF_MSG_OK);
	until_log("event=clock_believed");
	(void)close(fd);
	(void)munmap(jump_ns, sizeof(*jump_ns));
}

static void test_nothing_was_started(void **state)
{
	static struct supervisor s;
	struct bf_err err = {0};

	(void)state;
	s.doorbell_fd = s.notify.fd = s.segment.fd = s.folders.lock_fd = s.folders.runtime_fd = -1;
	binaries_init(&s.binaries);
	sockets_init(&s.sockets);
	reload_prepare(&s.reload);
	/* Nobody waits for this answer. */
	command_restart_done(&s, NULL, &err);
	start_undo(&s);
	start_undo(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_life_and_commands, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_wrong_protocol, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reloads, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_starts_that_fail, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stop_while_reading, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ready_means_in_health, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_three_signals, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_second_supervisor, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_killed_and_taken_over, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_clock_that_jumps, setup, teardown),
	    cmocka_unit_test(test_nothing_was_started),
	};

	helper_main(argc, argv);
	fake_child_main();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
