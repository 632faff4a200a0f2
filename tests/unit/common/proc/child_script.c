/*
 * A scripted supervisor for the tests of the child runtime: starts the test program again as a
 * child and speaks frames.
 */
#include "tests/unit/common/proc/child_script.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/proc/contract.h"
#include "common/proc/fds.h"
#include "tests/support/forked.h"

#define PADDED_NAME "bifrost-proxyd                          "

static int sealed_config(void)
{
	struct bf_config config;
	struct bf_arena arena;
	struct bf_buf out;
	int fd;

	bf_arena_init(&arena, 1u << 20);
	bf_buf_init(&out, 1u << 20);
	assert_int_equal(bf_table_defaults(&bf_config_table, &config, &arena), 0);
	config.server.header_timeout_ms = 12345;
	assert_int_equal(bf_table_encode_mp(&bf_config_table, &config, BF_FOR_PROXYD, &out), 0);
	fd = bf_memfd_sealed("config", bf_buf_slice(&out).ptr, bf_buf_len(&out));
	bf_buf_done(&out);
	bf_arena_done(&arena);
	return fd;
}

void script_set_contract(const struct change *change)
{
	const struct change contract[] = {
	    {BF_ENV_ROLE, "proxyd"},
	    {BF_ENV_INDEX, "2"},
	    {BF_ENV_PROC_SLOT, "9"},
	    {BF_ENV_BUILD_ID, bf_build_id()},
	    {BF_ENV_WORKERS, "4"},
	    {BF_ENV_ADDRESSES, "0"},
	    {BF_ENV_USER, ""},
	    {BF_ENV_STATE_DIR, "/tmp"},
	    {BF_ENV_RUNTIME_DIR, "/var/tmp"},
	    {BF_ENV_LOG_LEVEL, "error"},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(contract); i++)
		(void)setenv(contract[i].name, contract[i].value, 1);
	for (; change != NULL && change->name != NULL; change++) {
		if (change->value == NULL)
			(void)unsetenv(change->name);
		else
			(void)setenv(change->name, change->value, 1);
	}
}

static _Noreturn void exec_child(const int fds[5], int self, const struct change *change)
{
	char *argv[] = {(char[]){PADDED_NAME}, NULL};
	int list[6] = {fds[0], fds[1], fds[2], fds[3], fds[4], self};

	script_set_contract(change);
	if (bf_fds_place(list, 6, BF_FD_CHANNEL) < 0 ||
	    fcntl(BF_FD_LISTEN, F_SETFD, FD_CLOEXEC) < 0)
		_exit(126);
	(void)fexecve(BF_FD_LISTEN, argv, environ);
	_exit(127);
}

/* config -1: a good one is made. */
void script_start_with(struct script *s, int config, const struct change *change)
{
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	s->channel = pair[0];
	s->segment = memfd_create("segment", MFD_CLOEXEC);
	s->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->config = config >= 0 ? config : sealed_config();
	s->pid = fork();
	if (s->pid == 0) {
		const int fds[5] = {pair[1], s->segment, s->config, s->segment, s->doorbell};

		exec_child(fds, self, change);
	}
	assert_true(s->pid > 0);
	(void)close(pair[1]);
	(void)close(self);
}

void script_start(struct script *s, const char *mode)
{
	const struct change change[] = {{"TEST_CHILD", mode}, {NULL, NULL}};

	script_start_with(s, -1, change);
}

static void close_channel(struct script *s)
{
	if (s->channel >= 0)
		(void)close(s->channel);
	s->channel = -1;
}

void script_finish(struct script *s)
{
	close_channel(s);
	(void)close(s->segment);
	(void)close(s->doorbell);
	(void)close(s->config);
}

void script_send_msg(struct script *s, uint16_t type, uint16_t source, uint32_t request,
		     uint8_t flags, const void *message)
{
	struct bf_buf body;
	struct bf_frame f = {.type = type,
			     .source = source,
			     .target = CHILD_ENDPOINT,
			     .request = request,
			     .flags = flags,
			     .fd = -1};

	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	if (message != NULL)
		assert_int_equal(bf_msg_encode(type, message, &body), 0);
	f.body = bf_buf_slice(&body);
	assert_int_equal(bf_frame_send_blocking(s->channel, &f, NULL), 0);
	bf_buf_done(&body);
}

void script_send_plain(struct script *s, uint16_t type)
{
	script_send_msg(s, type, SUPERVISOR, 0, 0, NULL);
}

void script_send_hello(struct script *s)
{
	const struct bf_msg_hello hello = {.protocol = BF_FRAME_VERSION,
					   .build_id = bf_slice_from(bf_build_id()),
					   .layout_version = SCRIPT_LAYOUT};

	script_send_msg(s, BF_MSG_HELLO, SUPERVISOR, 0, 0, &hello);
}

int script_receive(struct script *s, int limit_ms, struct bf_frame *f)
{
	return bf_frame_recv_blocking(s->channel, s->buf, limit_ms, f, NULL);
}

void script_expect(struct script *s, uint16_t type)
{
	struct bf_frame f;

	assert_int_equal(script_receive(s, 10000, &f), 0);
	assert_int_equal(f.type, type);
	assert_int_equal(f.source, CHILD_ENDPOINT);
}

void script_start_ready(struct script *s, const char *mode)
{
	script_start(s, mode);
	script_send_hello(s);
	script_expect(s, BF_MSG_READY);
}

void script_expect_exit(struct script *s, int code)
{
	int status = wait_limited(s->pid, 10000);

	if (!exited_with(status, code))
		fail_msg("wait status %#x instead of exit %d", (unsigned)status, code);
}

char script_note_of_stop(const struct script *s)
{
	char note = '-';

	(void)!pread(s->segment, &note, 1, 0);
	return note;
}

void script_expect_stop(const struct script *s)
{
	for (int i = 0; i < 30000 && script_note_of_stop(s) == '-'; i++)
		(void)usleep(1000);
	assert_int_not_equal(script_note_of_stop(s), '-');
}

/* That it leaves, and how; not when, which is a matter of how busy this machine is too. */
int script_orphan(struct script *s)
{
	int status;

	close_channel(s);
	status = wait_limited(s->pid, 30000);
	assert_int_not_equal(status, -1);
	return status;
}

void script_ask_status(struct script *s, struct bf_arena *arena, struct bf_msg_status *status)
{
	struct bf_frame f;

	script_send_msg(s, BF_MSG_STATUS_GET, CTL, 77, 0, NULL);
	assert_int_equal(script_receive(s, 10000, &f), 0);
	assert_int_equal(f.type, BF_MSG_STATUS);
	assert_int_equal(f.flags, BF_FRAME_REPLY);
	assert_int_equal(f.request, 77);
	assert_int_equal(f.target, CTL);
	assert_int_equal(bf_msg_decode(f.type, f.body, status, arena, NULL), 0);
}
