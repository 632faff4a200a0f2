/*
 * The child of the child tests: a proxyd that does what TEST_CHILD in its environment says. Linked
 * into each of those tests, which execute themselves again to be it.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/pulse.h"
#include "common/proc/contract.h"
#include "tests/unit/common/proc/child_script.h"

static bool behaves(const char *how)
{
	const char *mode = getenv("TEST_CHILD");

	return mode != NULL && strcmp(mode, how) == 0;
}

static void spin_for_ever(void)
{
	for (volatile unsigned n = 0;; n++)
		;
}

/* Beats are counted in the doorbell; what stop() did, in the segment's file. */
static void child_beat(struct bf_child *child)
{
	(void)!write(child->doorbell_fd, &(uint64_t){1}, sizeof(uint64_t));
}

static int child_open(struct bf_child *child, struct bf_err *err)
{
	if (behaves("open_fails"))
		return bf_err_set(err, BF_E_CORRUPT, "test: open fails");
	if (behaves("open_finds_another_layout"))
		return bf_err_set(err, BF_E_VERSION, "test: another layout");
	child->beat = child_beat;
	return 0;
}

static unsigned said_starting;

static void still_starting(void *child)
{
	said_starting++;
	bf_child_starting(child);
}

/* Until it was told twice. */
static void start_slowly(struct bf_child *child)
{
	bf_pulse_to(still_starting, child);
	while (said_starting < 2)
		bf_pulse();
}

static int child_start(struct bf_child *child, struct bf_err *err)
{
	if (behaves("start_fails"))
		return bf_err_set(err, BF_E_STATE, "test: start fails");
	if (behaves("start_hangs"))
		spin_for_ever();
	if (behaves("starts_slowly"))
		start_slowly(child);
	return behaves("ready_later") ? BF_CHILD_READY_LATER : 0;
}

static void child_stop(struct bf_child *child)
{
	char note = child->orphaned ? 'o' : 's';

	(void)!pwrite(child->segment_fd, &note, 1, 0);
	if (behaves("stop_hangs"))
		spin_for_ever();
	if (behaves("stop_answers"))
		(void)bf_channel_send_msg(&child->channel, BF_MSG_DRAINED, child->endpoint,
					  SUPERVISOR, 0, 0, NULL);
}

static void child_status(struct bf_child *child, struct bf_array *items, struct bf_arena *arena)
{
	static const char *const dirs[] = {"state_dir", "runtime_dir"};

	bf_status_add(items, arena, "uid", "%u", (unsigned)getuid());
	bf_status_add(items, arena, dirs[0], "%s", child->state_dir);
	bf_status_add(items, arena, dirs[1], "%s", child->runtime_dir);
	bf_status_add(items, arena, "header_timeout_ms", "%lld",
		      (long long)child->config.server.header_timeout_ms);
	bf_status_add(items, arena, "config_fd_open", "%d", fcntl(BF_FD_CONFIG, F_GET_SEALS) >= 0);
	for (int i = 0; behaves("status_is_long") && i < 200; i++)
		bf_status_add(items, arena, "filler", "%0900d", i);
}

static void on_drain(struct bf_child *child, struct bf_frame *f, const void *message)
{
	(void)f;
	assert(message == NULL);
	if (behaves("drain_hangs"))
		spin_for_ever();
	if (behaves("drain_leaves_twice")) {
		bf_child_leave(child, BF_EXIT_OK);
		bf_child_leave(child, BF_EXIT_FAILED);
	}
	if (behaves("drain_opens_a_file"))
		(void)open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_CREAT, 0600);
	if (behaves("drain_forks"))
		(void)fork();
}

/* The slot comes back in a message of the child's own. */
static void on_adopt(struct bf_child *child, struct bf_frame *f, const void *message)
{
	const struct bf_msg_listen_slot *m = message;

	(void)f;
	if (behaves("ready_later"))
		bf_child_ready(child);
	if (m->slot == 41)
		(void)bf_channel_send_msg(&child->channel, BF_MSG_DRAINED, child->endpoint,
					  SUPERVISOR, 0, 0, NULL);
}

int be_child(int argc, char **argv)
{
	static const struct bf_sandbox sandbox = {.groups = BF_SYS_BASE | BF_SYS_CHANNEL};
	static const struct bf_child_handler handlers[] = {
	    {BF_MSG_DRAIN, on_drain},
	    {BF_MSG_ADOPT, on_adopt},
	    {0, NULL},
	};
	static const struct bf_child_spec spec = {
	    .role = BF_ROLE_PROXYD,
	    .layout_version = SCRIPT_LAYOUT,
	    .sandbox = &sandbox,
	    .handlers = handlers,
	    .open = child_open,
	    .start = child_start,
	    .stop = child_stop,
	    .status = child_status,
	};

	return bf_child_main(argc, argv, &spec);
}
