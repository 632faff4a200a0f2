/* Folders and their lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/prctl.h>
#include <sys/stat.h>

#include "world.h"

static char base[64];
static struct folders f;
static struct owner self;

static int setup(void **state)
{
	(void)state;
	make_folder(base, sizeof(base));
	memset(&f, 0, sizeof(f));
	f.lock_fd = f.runtime_fd = -1;
	return owner_find(NULL, &self, NULL);
}

static int teardown(void **state)
{
	(void)state;
	folder_close(&f);
	remove_folder(base);
	return 0;
}

static void in_base(char *out, const char *name)
{
	(void)snprintf(out, 1024, "%.60s/%s", base, name);
}

static void test_who_decides(void **state)
{
	struct bf_slice conf = BF_SLICE_LIT("/from/yaml"), none = {NULL, 0};

	(void)state;
	(void)unsetenv(BF_ENV_STATE_DIR);
	(void)unsetenv(BF_ENV_RUNTIME_DIR);
	assert_int_equal(folder_choose(&f, none, none, NULL), 0);
	assert_string_equal(f.state, FOLDER_STATE_DEFAULT);
	assert_string_equal(f.runtime, FOLDER_RUNTIME_DEFAULT);
	assert_int_equal(folder_choose(&f, conf, conf, NULL), 0);
	assert_string_equal(f.state, "/from/yaml");
	(void)setenv(BF_ENV_STATE_DIR, "/from/env", 1);
	(void)setenv(BF_ENV_RUNTIME_DIR, "", 1);
	assert_int_equal(folder_choose(&f, conf, conf, NULL), 0);
	assert_string_equal(f.state, "/from/env");
	assert_string_equal(f.runtime, "/from/yaml");
	(void)setenv(BF_ENV_STATE_DIR, "var", 1);
	assert_int_equal(folder_choose(&f, none, none, NULL), 0);
	assert_int_equal(f.state[0], '/');
	assert_non_null(strstr(f.state, "/var"));
	(void)unsetenv(BF_ENV_STATE_DIR);
	(void)unsetenv(BF_ENV_RUNTIME_DIR);
}

static void test_too_long(void **state)
{
	char name[2000];
	struct bf_err err = {0};

	(void)state;
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	assert_int_equal(folder_choose(&f, (struct bf_slice){name, sizeof(name)},
				       (struct bf_slice){NULL, 0}, &err),
			 -ENAMETOOLONG);
	assert_int_equal(folder_make("", 0700), -ENAMETOOLONG);
}

static void test_made_private_with_parents(void **state)
{
	struct stat st;

	(void)state;
	in_base(f.state, "a/b/state");
	in_base(f.runtime, "c/run");
	assert_int_equal(folder_prepare(&f, &self, NULL), 0);
	assert_int_equal(stat(f.state, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(f.runtime, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	folder_close(&f);
	/* What is there is taken as it is. */
	assert_int_equal(folder_prepare(&f, &self, NULL), 0);
	assert_int_equal(folder_make(f.state, 0700), 0);
}

static void test_unusable(void **state)
{
	struct bf_err err = {0};
	char file[1024];
	int fd;

	(void)state;
	in_base(file, "file");
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	in_base(f.runtime, "run");
	in_base(f.state, "file/below");
	assert_int_equal(folder_prepare(&f, &self, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, "file/below"));
	in_base(f.state, "file");
	assert_int_equal(folder_prepare(&f, &self, &err), -ENOTDIR);
	in_base(f.state, "open");
	assert_int_equal(folder_make(f.state, 0700), 0);
	assert_int_equal(chmod(f.state, 0777), 0);
	assert_int_equal(folder_prepare(&f, &self, &err), BF_E_DENIED);
	assert_non_null(strstr(err.text, "everyone"));
}

static void test_users(void **state)
{
	struct bf_err err = {0};
	struct owner o;

	(void)state;
	assert_int_equal(owner_find("", &o, &err), 0);
	assert_int_equal(o.uid, geteuid());
	assert_string_equal(o.name, "");
	assert_int_equal(owner_find("no-such-user-here", &o, &err), BF_E_UNKNOWN);
	assert_non_null(strstr(err.text, "no-such-user-here"));
}

/* A process of that name, holding the lock; a byte on the pipe says when. */
static pid_t hold_lock(const char *comm, bool write_pid)
{
	char byte = 0;
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		struct folders mine = f;

		mine.lock_fd = -1;
		(void)prctl(PR_SET_NAME, comm, 0, 0, 0);
		if (folder_lock(&mine, &self, 0, NULL) < 0 ||
		    (!write_pid && ftruncate(mine.lock_fd, 0) < 0))
			_exit(1);
		(void)!write(ends[1], "x", 1);
		(void)pause();
		_exit(0);
	}
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	(void)close(ends[0]);
	return pid;
}

static void prepare(void)
{
	in_base(f.state, "s");
	in_base(f.runtime, "r");
	assert_int_equal(folder_prepare(&f, &self, NULL), 0);
}

static void test_a_living_supervisor_is_named_at_once(void **state)
{
	struct bf_err err = {0};
	char number[32];
	int64_t began;
	pid_t pid;

	(void)state;
	prepare();
	pid = hold_lock("bifrost", true);
	began = bf_mono_ms();
	assert_int_equal(folder_lock(&f, &self, 60000, &err), BF_E_STATE);
	assert_in_range((uintmax_t)(bf_mono_ms() - began), 0, 30000);
	(void)snprintf(number, sizeof(number), "pid %d", (int)pid);
	assert_non_null(strstr(err.text, number));
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	assert_int_equal(folder_lock(&f, &self, 0, &err), 0);
}

static void test_leftovers_are_waited_for(void **state)
{
	struct bf_err err = {0};
	int64_t began;
	pid_t pid;

	(void)state;
	prepare();
	pid = hold_lock("bifrost-proxyd", false);
	began = bf_mono_ms();
	assert_int_equal(folder_lock(&f, &self, 200, &err), BF_E_STATE);
	assert_true(bf_mono_ms() - began >= 200);
	assert_non_null(strstr(err.text, "fuser"));
	folder_close(&f);
	prepare();
	(void)kill(pid, SIGKILL);
	assert_int_equal(folder_lock(&f, &self, 5000, &err), 0);
	(void)waitpid(pid, NULL, 0);
}

static void test_lock_that_is_no_file(void **state)
{
	struct bf_err err = {0};
	char path[1024];

	(void)state;
	prepare();
	in_base(path, "r/lock");
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(folder_lock(&f, &self, 0, &err), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(folder_lock(&f, &self, 0, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_who_decides, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_made_private_with_parents, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unusable, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_users, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_living_supervisor_is_named_at_once, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_leftovers_are_waited_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_lock_that_is_no_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
