/* What a start needs: plan, programs, sockets, slices, processes, the block that is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "supervisor/banner.h"
#include "supervisor/spawn.h"
#include "world.h"

/* ------------------------------------------------------------------ plan */

static void test_plan(void **state)
{
	unsigned orders = 0;

	(void)state;
	for (size_t i = 0; i < plan_row_count; i++) {
		const struct plan_row *row = &plan_rows[i];

		assert_ptr_equal(plan_of(row->role), row);
		assert_true(row->stop_order < PLAN_STOP_ORDERS);
		assert_true(row->stop_timeout_ms > 0 && row->audience);
		orders |= 1u << row->stop_order;
	}
	assert_int_equal(orders, (1u << PLAN_STOP_ORDERS) - 1);
	assert_null(plan_of(BF_ROLE_SUPERVISOR));
	assert_null(plan_of(BF_ROLE_CTL));
	/* The writer empties what all others wrote: it leaves last, and never two at once. */
	assert_int_equal(plan_of(BF_ROLE_WRITERD)->stop_order, PLAN_STOP_ORDERS - 1);
	assert_false(plan_of(BF_ROLE_WRITERD)->may_overlap);
	assert_false(plan_of(BF_ROLE_CLUSTERD)->may_overlap);
	assert_true(plan_of(BF_ROLE_PROXYD)->may_overlap);
}

static void test_workers(void **state)
{
	(void)state;
	assert_int_equal(plan_workers(3, 32), 3);
	assert_int_equal(plan_workers(33, 32), 32);
	assert_int_equal(plan_workers(UINT64_MAX, 32), 32);
	assert_in_range(plan_workers(0, 32), 1, 32);
	assert_int_equal(plan_workers(0, 1), 1);
}

/* ------------------------------------------------------------------ programs */

static void put_program(const char *folder, const char *name, mode_t mode)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void test_programs(void **state)
{
	char folder[64], path[256];
	struct binaries b;
	struct bf_err err = {0};

	(void)state;
	make_folder(folder, sizeof(folder));
	for (size_t i = 0; i < plan_row_count; i++) {
		/* The reader is the writer's program. */
		bool is_there = plan_rows[i].role == BF_ROLE_READER;

		assert_true(binaries_open_in(&b, folder, &err) < 0);
		assert_int_equal(strstr(err.text, plan_rows[i].binary) == NULL, is_there);
		if (is_there)
			continue;
		put_program(folder, plan_rows[i].binary, 0700);
	}
	assert_true(binaries_open_in(&b, folder, &err) < 0);
	put_program(folder, "bifrost-config", 0700);
	assert_int_equal(binaries_open_in(&b, folder, &err), 0);
	assert_string_equal(b.folder, folder);
	binaries_close(&b);
	binaries_close(&b);
	/* Named by the environment: that folder and no other. */
	assert_int_equal(setenv("BIFROST_LIBEXEC_DIR", folder, 1), 0);
	assert_int_equal(binaries_open(&b, &err), 0);
	assert_string_equal(b.folder, folder);
	binaries_close(&b);
	(void)snprintf(path, sizeof(path), "%s/bifrost-writerd", folder);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(binaries_open(&b, &err), -EACCES);
	assert_int_equal(setenv("BIFROST_LIBEXEC_DIR", "/nowhere", 1), 0);
	assert_int_equal(binaries_open(&b, &err), -ENOENT);
	(void)unsetenv("BIFROST_LIBEXEC_DIR");
	remove_folder(folder);
}

/* ------------------------------------------------------------------ sockets */

static uint16_t port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&a, &len), 0);
	return ntohs(a.sin_port);
}

static void test_sockets(void **state)
{
	static struct sockets s, second;
	char one[32], two[32];
	struct bf_slice texts[2];
	struct bf_array listen = {texts, 2};
	struct bf_err err = {0};
	const uint16_t p1 = 8001, p2 = 8002;
	char address[OWN_ADDRESS_SIZE];

	(void)state;
	own_address(address);
	sockets_init(&s);
	sockets_close(&s);
	(void)snprintf(one, sizeof(one), "%s:%u", address, p1);
	(void)snprintf(two, sizeof(two), "%s:%u", address, p2);
	texts[0] = bf_slice_from(one);
	texts[1] = bf_slice_from(two);
	assert_int_equal(sockets_open(&s, &listen, 3, &err), 0);
	for (uint32_t slot = 0; slot < 3; slot++) {
		assert_int_equal(port_of(s.fds[slot * 2]), p1);
		assert_int_equal(port_of(s.fds[slot * 2 + 1]), p2);
		assert_true(fcntl(s.fds[slot * 2], F_GETFD) & FD_CLOEXEC);
	}
	assert_int_equal(s.fds[6], -1);
	/* Somebody else's address; nothing of the others stays open. */
	assert_int_equal(sockets_open(&second, &listen, 3, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, one));
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		assert_int_equal(second.fds[i], -1);
	sockets_close(&s);
	texts[1] = BF_SLICE_LIT("127.0.0.1:0");
	assert_true(sockets_open(&s, &listen, 1, &err) < 0);
	assert_int_equal(s.fds[0], -1);
	assert_int_equal(sockets_open(&s, &listen, 501, &err), BF_E_LIMIT);
	listen.count = 0;
	assert_int_equal(sockets_open(&s, &listen, 1, &err), BF_E_LIMIT);
}

/* ------------------------------------------------------------------ slices */

static void test_slices(void **state)
{
	struct bf_bundle bundle = {
	    .ok = true,
	    .for_supervisor = BF_SLICE_LIT("s"),
	    .for_proxyd = BF_SLICE_LIT("p"),
	    .for_clusterd = BF_SLICE_LIT("same"),
	    .for_discoveryd = BF_SLICE_LIT("same"),
	    .for_writerd = BF_SLICE_LIT(""),
	};
	struct slices s;
	struct bf_err err = {0};
	const void *bytes;
	size_t len;
	int copy;

	(void)state;
	assert_int_equal(slices_seal(&s, &bundle, &err), 0);
	assert_int_equal(bf_memfd_map(s.fds[BF_ROLE_PROXYD], &bytes, &len, NULL), 0);
	assert_int_equal(len, 1);
	assert_memory_equal(bytes, "p", 1);
	bf_memfd_unmap(bytes, len);
	assert_true(slices_equal(s.fds[BF_ROLE_CLUSTERD], s.fds[BF_ROLE_DISCOVERYD]));
	assert_false(slices_equal(s.fds[BF_ROLE_CLUSTERD], s.fds[BF_ROLE_PROXYD]));
	assert_false(slices_equal(s.fds[BF_ROLE_WRITERD], s.fds[BF_ROLE_PROXYD]));
	assert_true(slices_equal(s.fds[BF_ROLE_WRITERD], s.fds[BF_ROLE_WRITERD]));
	assert_false(slices_equal(-1, s.fds[BF_ROLE_PROXYD]));
	/* Nobody can change them any more. */
	assert_int_equal(write(s.fds[BF_ROLE_PROXYD], "x", 1), -1);
	copy = slices_dup(s.fds[BF_ROLE_PROXYD]);
	assert_true(copy >= 3 && slices_equal(copy, s.fds[BF_ROLE_PROXYD]));
	(void)close(copy);
	assert_int_equal(slices_dup(-1), -EBADF);
	slices_close(&s);
	assert_int_equal(s.fds[BF_ROLE_PROXYD], -1);
	slices_close(&s);
}

/* ------------------------------------------------------------------ processes */

static int run_shell(const char *script, const int *fds, size_t count, int stdin_fd)
{
	char name[] = "sh", dash[] = "-c", text[512], path[] = "PATH=/bin:/usr/bin";
	char *argv[] = {name, dash, text, NULL}, *envp[] = {path, NULL};
	struct spawn s = {.name = name,
			  .argv = argv,
			  .envp = envp,
			  .stdin_fd = stdin_fd,
			  .fds = fds,
			  .fd_count = count};
	struct bf_err err = {0};
	int status = 0;
	pid_t pid;

	(void)snprintf(text, sizeof(text), "%s", script);
	s.binary = open("/bin/sh", O_PATH | O_CLOEXEC);
	pid = spawn_process(&s, &err);
	assert_true(pid > 0);
	(void)close(s.binary);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_only_what_was_given_is_inherited(void **state)
{
	int a = open("/dev/null", O_RDONLY), leak = open("/dev/zero", O_RDONLY);
	int fds[] = {a, a};

	(void)state;
	/* 0, 1, 2, 3, 4, and the one that lists the folder. */
	assert_int_equal(run_shell("set -- $(ls /proc/self/fd); test $# -eq 6 -a \"$(readlink "
				   "/proc/self/fd/4)\" = /dev/null",
				   fds, 2, -1),
			 0);
	assert_int_equal(run_shell("test \"$(readlink /proc/self/fd/0)\" = /dev/null", fds, 0, -1),
			 0);
	assert_int_equal(
	    run_shell("test \"$(readlink /proc/self/fd/0)\" = /dev/zero", fds, 0, leak), 0);
	assert_int_equal(
	    run_shell("test \"$(env | grep -cv -e ^PATH -e ^PWD -e ^_ -e ^SHLVL -e ^OLDPWD)\" = 0",
		      fds, 0, -1),
	    0);
	(void)close(a);
	(void)close(leak);
}

static void test_group_and_signals(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	/* As under a shell that started us in the background. */
	(void)signal(SIGINT, SIG_IGN);
	/* Field 5 of stat is the group; bit 12 of SigIgn is SIGPIPE. */
	assert_int_equal(run_shell("read pid a b c group rest < /proc/self/stat; set -- $(cat "
				   "/proc/$$/stat); test $5 = $$",
				   NULL, 0, -1),
			 0);
	assert_int_equal(
	    run_shell("grep -q '^SigIgn:.*0000000000000000$' /proc/self/status", NULL, 0, -1), 0);
}

static void test_exit_texts(void **state)
{
	char out[96];

	(void)state;
	assert_string_equal(spawn_exit_text(run_shell("exit 7", NULL, 0, -1), out, sizeof(out)),
			    "exit 7");
	assert_string_equal(spawn_exit_text(run_shell("kill -9 $$", NULL, 0, -1), out, sizeof(out)),
			    "signal 9 (KILL)");
	assert_non_null(strstr(spawn_exit_text(SIGSYS, out, sizeof(out)), "sandbox"));
	assert_non_null(strstr(spawn_exit_text(0x137f, out, sizeof(out)), "status"));
	assert_int_equal(strlen(spawn_exit_text(SIGSYS, out, 5)), 4);
}

static void test_too_many_descriptors(void **state)
{
	static int fds[SPAWN_MAX_FDS + 1];
	struct spawn s = {.name = "x", .fds = fds, .fd_count = SPAWN_MAX_FDS + 1};
	struct bf_err err = {0};

	(void)state;
	assert_int_equal(spawn_process(&s, &err), BF_E_LIMIT);
}

/* ------------------------------------------------------------------ the block at start */

static void test_banner(void **state)
{
	struct bf_slice listen[] = {BF_SLICE_LIT("127.0.0.1:1"), BF_SLICE_LIT("[::1]:2")};
	struct bf_slice names[] = {BF_SLICE_LIT("spool.retain")};
	struct bf_config config = {
	    .server = {.listen = {listen, 2}, .body_memory_bytes = 100u << 20},
	    .unbuilt = {names, 1}};
	struct banner b = {
	    .file = "/etc/x.yaml",
	    .state_dir = "/s",
	    .runtime_dir = "/r",
	    .programs = "/p",
	    .config = &config,
	    .workers = 4,
	    .unswept = 3,
	    .taken_over = true,
	    .keeps_root = true,
	    .note = "was damaged",
	    .room = "too small",
	};
	uint64_t worker_bytes = bf_config_worker_worst_bytes(&config, 4);
	char worker[64];
	const char *const words[] = {"http://127.0.0.1:1, http://[::1]:2",
				     "/etc/x.yaml",
				     "/s",
				     "/r/segment, taken over",
				     "to sweep: 3",
				     worker,
				     "no Landlock",
				     "keep root",
				     "not on a tmpfs",
				     "was damaged",
				     "too small",
				     "spool.retain has no effect"};
	struct bf_buf out;

	(void)state;
	assert_true(worker_bytes > 2 * config.server.body_memory_bytes);
	(void)snprintf(worker, sizeof(worker), "each of 4 workers %lluMiB",
		       (unsigned long long)(worker_bytes + (1u << 20)) >> 20);
	bf_buf_init(&out, 65536);
	assert_int_equal(banner_write(&b, &out), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	for (size_t i = 0; i < BF_ARRAY_LEN(words); i++) {
		if (!strstr(out.data + out.start, words[i]))
			fail_msg("no \"%s\" in:\n%s", words[i], out.data + out.start);
	}
	bf_buf_clear(&out);
	b = (struct banner){.file = "f",
			    .state_dir = "s",
			    .runtime_dir = "r",
			    .programs = "p",
			    .config = &config,
			    .workers = 1,
			    .landlock_abi = 4,
			    .runtime_is_tmpfs = true,
			    .note = "",
			    .room = ""};
	config.unbuilt.count = 0;
	assert_int_equal(banner_write(&b, &out), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	assert_null(strstr(out.data + out.start, "WARNING"));
	assert_non_null(strstr(out.data + out.start, "version 4"));
	bf_buf_done(&out);
	assert_in_range(banner_landlock_abi(), 0, 100);
}

static void test_banner_with_every_ceiling(void **state)
{
	struct bf_slice listen[] = {BF_SLICE_LIT("127.0.0.1:1")};
	struct bf_config config = {.server = {.listen = {listen, 1}}};
	struct banner b = {.file = "f",
			   .state_dir = "s",
			   .runtime_dir = "r",
			   .programs = "p",
			   .config = &config,
			   .workers = 1,
			   .note = "n",
			   .room = ""};
	int r = -1;

	(void)state;
	for (size_t max = 1; r != 0; max += 7) {
		struct bf_buf out;

		assert_true(max < 65536);
		bf_buf_init(&out, max);
		r = banner_write(&b, &out);
		assert_true(r == 0 || r == BF_E_LIMIT);
		bf_buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plan),
	    cmocka_unit_test(test_workers),
	    cmocka_unit_test(test_programs),
	    cmocka_unit_test(test_sockets),
	    cmocka_unit_test(test_slices),
	    cmocka_unit_test(test_only_what_was_given_is_inherited),
	    cmocka_unit_test(test_group_and_signals),
	    cmocka_unit_test(test_exit_texts),
	    cmocka_unit_test(test_too_many_descriptors),
	    cmocka_unit_test(test_banner),
	    cmocka_unit_test(test_banner_with_every_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
