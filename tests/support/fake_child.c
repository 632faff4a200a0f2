/*
 * A child that misbehaves, for tests of the supervisor: stands in its folder of programs under the
 * name of a real one.
 *
 *   FAKE_CHILD=[ROLE[.INDEX]=]BEHAVIOUR[,...]   or   FAKE_CHILD=INDEX:BEHAVIOUR
 *   FAKE_CHILD_REAL=PROGRAM, or FAKE_CHILD_REAL_DIR=FOLDER with bifrost-ROLE in it
 *
 * A process that is not named executes the real program with the same descriptors and environment.
 * Behaviours stand in the table below; "-" and "_" are the same, ":N" gives a number. It must never
 * outlive the supervisor.
 */
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages.h"
#include "common/proc/contract.h"
#include "shm/slot.h"

struct fake {
	const char *role, *program; /* "proxyd", "bifrost-proxyd" */
	uint16_t endpoint;
	uint32_t slot;
	struct shm_segment seg;
	long number; /* behind the behaviour's colon */
	char **argv;
	bool deaf; /* answers neither DRAIN nor STOP */
};

static _Noreturn void hang(void)
{
	for (;;)
		(void)pause();
}

static _Noreturn void crash(void)
{
	(void)signal(SIGSEGV, SIG_DFL);
	(void)raise(SIGSEGV);
	_exit(1);
}

static uint16_t supervisor(void)
{
	return BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0);
}

static void send_frame(uint16_t type, uint16_t source, uint16_t target, struct bf_slice body)
{
	const struct bf_frame f = {
	    .type = type, .source = source, .target = target, .body = body, .fd = -1};

	if (bf_frame_send_blocking(BF_FD_CHANNEL, &f, NULL) < 0)
		_exit(0);
}

static void send_plain(const struct fake *k, uint16_t type)
{
	send_frame(type, k->endpoint, supervisor(), (struct bf_slice){NULL, 0});
}

static void send_raw(const void *bytes, size_t len)
{
	(void)send(BF_FD_CHANNEL, bytes, len, MSG_NOSIGNAL);
}

static void become_ready(struct fake *k)
{
	static uint8_t buf[BF_FRAME_MAX];
	struct bf_frame f;

	if (shm_segment_attach(BF_FD_SEGMENT, false, NULL, &k->seg, NULL) < 0 ||
	    shm_slot_enter(&k->seg, k->slot, (uint32_t)getpid(), bf_wall_ns(), bf_mono_ns()) < 0)
		_exit(BF_EXIT_FAILED);
	if (bf_frame_recv_blocking(BF_FD_CHANNEL, buf, 10000, &f, NULL) < 0 ||
	    f.type != BF_MSG_HELLO)
		_exit(BF_EXIT_FAILED);
	send_plain(k, BF_MSG_READY);
}

static void answer(const struct fake *k, const struct bf_frame *f)
{
	if (k->deaf)
		return;
	if (f->type == BF_MSG_STOP)
		exit(BF_EXIT_OK);
	if (f->type == BF_MSG_DRAIN) {
		send_plain(k, BF_MSG_DRAINED);
		exit(BF_EXIT_OK);
	}
}

/* Beats and obeys, as far as it is not deaf; for ms, or until the channel closes (ms < 0). */
static void live(struct fake *k, long ms)
{
	static uint8_t buf[BF_FRAME_MAX];
	int64_t end = bf_mono_ms() + ms;

	while (ms < 0 || bf_mono_ms() < end) {
		struct pollfd p = {.fd = BF_FD_CHANNEL, .events = POLLIN};
		struct bf_frame f;

		shm_slot_beat(&k->seg, k->slot, bf_mono_ns());
		if (poll(&p, 1, ms < 0 ? 500 : (int)BF_MIN(500, end - bf_mono_ms() + 1)) < 1)
			continue;
		if (bf_frame_recv_blocking(BF_FD_CHANNEL, buf, 1000, &f, NULL) < 0)
			exit(BF_EXIT_OK);
		answer(k, &f);
	}
}

/* ---- behaviours ---- */

static _Noreturn void run_real(const struct fake *k)
{
	const char *path = getenv("FAKE_CHILD_REAL"), *folder = getenv("FAKE_CHILD_REAL_DIR");
	char joined[4096];

	if (path == NULL && folder != NULL) {
		(void)snprintf(joined, sizeof(joined), "%s/%s", folder, k->program);
		path = joined;
	}
	if (path != NULL)
		(void)execv(path, k->argv);
	(void)fprintf(stderr, "fake_child: %s cannot be executed: set FAKE_CHILD_REAL_DIR\n",
		      path ? path : k->program);
	exit(127);
}

static void be_ok(struct fake *k)
{
	become_ready(k);
}

static void be_never_ready(struct fake *k)
{
	(void)k;
	hang();
}

static void be_crash_at_start(struct fake *k)
{
	(void)k;
	crash();
}

static void be_exit_at_start(struct fake *k)
{
	_exit((int)k->number);
}

static void be_crash_after_ready(struct fake *k)
{
	become_ready(k);
	live(k, k->number);
	crash();
}

static void be_garbage(struct fake *k)
{
	become_ready(k);
	for (int i = 0; i < 100; i++)
		send_raw("garbage garbage garbage garbage", 31);
}

static void be_wrong_type(struct fake *k)
{
	become_ready(k);
	send_plain(k, BF_MSG_RESTART);
	send_plain(k, 999);
}

/* As if it were the supervisor, and as if it were somebody else's child. */
static void be_wrong_source(struct fake *k)
{
	become_ready(k);
	send_frame(BF_MSG_STOP, supervisor(), BF_ENDPOINT(BF_ROLE_WRITERD, 0),
		   (struct bf_slice){NULL, 0});
	send_frame(BF_MSG_READY, BF_ENDPOINT(BF_ROLE_PROXYD, 63), supervisor(),
		   (struct bf_slice){NULL, 0});
}

static void be_huge(struct fake *k)
{
	static char datagram[128 * 1024];

	become_ready(k);
	send_raw(datagram, sizeof(datagram));
}

static void be_flood(struct fake *k)
{
	become_ready(k);
	for (;;)
		send_plain(k, BF_MSG_READY);
}

static void be_hang_after_ready(struct fake *k)
{
	become_ready(k);
	hang();
}

static void be_spin_after_ready(struct fake *k)
{
	become_ready(k);
	for (;;)
		(void)bf_mono_ns();
}

static void be_close_channel(struct fake *k)
{
	become_ready(k);
	(void)close(BF_FD_CHANNEL);
	hang();
}

static void be_deaf(struct fake *k)
{
	k->deaf = true;
	become_ready(k);
}

/* Says so many times a fifth of a second apart that it is still at its start. */
static void be_slow_start(struct fake *k)
{
	for (long i = 0; i < k->number; i++) {
		(void)usleep(200000);
		send_plain(k, BF_MSG_STARTING);
	}
	become_ready(k);
}

static void be_late_starting(struct fake *k)
{
	become_ready(k);
	send_plain(k, BF_MSG_STARTING);
}

/* The first of its place is a real one; whoever follows it never becomes ready. */
static void be_ready_once(struct fake *k)
{
	const char *folder = getenv(BF_ENV_STATE_DIR);
	char name[24], marker[4096];
	int fd;

	(void)snprintf(marker, sizeof(marker), "%s/fake-child-%s", folder ? folder : ".",
		       bf_endpoint_format(k->endpoint, name));
	fd = open(marker, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		hang();
	(void)close(fd);
	run_real(k);
}

/* After the behaviour returns, the child goes on as a good one. */
static const struct {
	const char *name;
	void (*be)(struct fake *k);
} behaviours[] = {
    {"ok", be_ok},
    {"never_ready", be_never_ready},
    {"slow_start", be_slow_start}, /* :TIMES */
    {"late_starting", be_late_starting},
    {"crash", be_crash_at_start},
    {"crash_at_start", be_crash_at_start},
    {"ready_once", be_ready_once},
    {"exit_at_start", be_exit_at_start},         /* :CODE */
    {"crash_after_ready", be_crash_after_ready}, /* :MS */
    {"garbage", be_garbage},
    {"garbage_frames", be_garbage},
    {"wrong_type", be_wrong_type},
    {"wrong_source", be_wrong_source},
    {"huge", be_huge},
    {"flood", be_flood},
    {"hang_after_ready", be_hang_after_ready},
    {"spin_after_ready", be_spin_after_ready},
    {"close_channel", be_close_channel},
    {"ignore_stop", be_deaf},
};

/* ---- who it is and what it shall do ---- */

static void find_out(struct fake *k, const char *argv0)
{
	static char program[64];
	const char *role = getenv(BF_ENV_ROLE), *index = getenv(BF_ENV_INDEX),
		   *slot = getenv(BF_ENV_PROC_SLOT);
	const char *base = strrchr(argv0, '/');
	enum bf_role r = BF_ROLE_NONE;

	if (role != NULL)
		(void)snprintf(program, sizeof(program), "bifrost-%s", role);
	else
		(void)snprintf(program, sizeof(program), "%s", base ? base + 1 : argv0);
	while (role != NULL && r < BF_ROLE_COUNT && strcmp(bf_role_name(r), role) != 0)
		r++;
	k->program = program;
	k->role = role ? role : "";
	k->endpoint = BF_ENDPOINT(r, index ? strtoul(index, NULL, 10) : 0);
	k->slot = slot ? (uint32_t)strtoul(slot, NULL, 10) : 0;
}

/* "proxyd", "proxyd.1" or "1". */
static bool selects(const struct fake *k, const char *selector)
{
	char exact[64];
	unsigned index = BF_ENDPOINT_INDEX(k->endpoint);

	if (k->role[0] == '\0')
		return false;
	if (strcmp(selector, k->role) == 0)
		return true;
	(void)snprintf(exact, sizeof(exact), "%s.%u", k->role, index);
	if (strcmp(selector, exact) == 0)
		return true;
	(void)snprintf(exact, sizeof(exact), "%u", index);
	return strcmp(selector, exact) == 0;
}

/* Splits "selector=behaviour" or "INDEX:behaviour"; an entry without a selector is meant for every
 * child. */
static char *behaviour_of(const struct fake *k, char *entry)
{
	char *mark = strchr(entry, '=');

	if (mark == NULL && isdigit((unsigned char)entry[0]))
		mark = strchr(entry, ':');
	if (mark == NULL)
		return k->role[0] != '\0' ? entry : NULL;
	*mark = '\0';
	return selects(k, entry) ? mark + 1 : NULL;
}

static bool is_named(const char *asked, const char *name)
{
	size_t i = 0;

	while (name[i] != '\0' && (asked[i] == name[i] || (asked[i] == '-' && name[i] == '_')))
		i++;
	return name[i] == '\0' && (asked[i] == '\0' || asked[i] == ':');
}

static _Noreturn void behave(struct fake *k, const char *asked)
{
	const char *colon = strchr(asked, ':');

	k->number = colon ? strtol(colon + 1, NULL, 10) : 0;
	for (size_t i = 0; i < BF_ARRAY_LEN(behaviours); i++) {
		if (!is_named(asked, behaviours[i].name))
			continue;
		behaviours[i].be(k);
		live(k, -1);
		exit(BF_EXIT_OK);
	}
	(void)fprintf(stderr, "fake_child: no behaviour '%s'\n", asked);
	exit(BF_EXIT_USAGE);
}

int main(int argc, char **argv)
{
	static char list[1024];
	const char *wish = getenv("FAKE_CHILD");
	struct fake k = {0};
	char *rest = list;

	k.argv = argv;
	find_out(&k, argc > 0 ? argv[0] : "");
	(void)snprintf(list, sizeof(list), "%s", wish ? wish : "");
	for (char *entry; (entry = strsep(&rest, ",")) != NULL;) {
		char *asked = entry[0] != '\0' ? behaviour_of(&k, entry) : NULL;

		if (asked == NULL)
			continue;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		(void)signal(SIGPIPE, SIG_IGN);
		behave(&k, asked);
	}
	run_real(&k);
}
