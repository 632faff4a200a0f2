/*
 * Counts the instructions that a running process executes in user space, one by one and per
 * address, from outside: it attaches with ptrace, steps until it gets SIGTERM or SIGINT, and lets
 * the process go on. Unlike a simulator it needs nothing from the process, which may have locked
 * itself into its sandbox long ago. Called by bench/peers/steps.py; slows the process down some
 * thousand times, so nothing is timed meanwhile.
 *
 * count-steps PID: prints "attached", at the end one line "ADDRESS COUNT" for each address in hex
 * and decimal.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

/* Half of it for addresses, of which a process runs through some ten thousand; more are not told.
 */
#define ROOM (1u << 20)

struct place {
	uint64_t address; /* 0: free */
	uint64_t count;
};

static struct place places[ROOM];
static size_t used;
static volatile sig_atomic_t wanted = 1;
static pid_t target;

static void on_signal(int sig)
{
	(void)sig;
	wanted = 0;
	/* It may sleep in a system call, where no step ends. */
	(void)ptrace(PTRACE_INTERRUPT, target, NULL, NULL);
}

static void count(uint64_t address)
{
	size_t at = (size_t)((address * UINT64_C(0x9e3779b97f4a7c15)) >> 44);

	while (places[at].address && places[at].address != address)
		at = (at + 1) & (ROOM - 1);
	if (!places[at].address) {
		if (used == ROOM / 2)
			return;
		used++;
	}
	places[at].address = address;
	places[at].count++;
}

static int program_counter(uint64_t *ret_pc)
{
	struct user_regs_struct regs;
	struct iovec io = {&regs, sizeof(regs)};

	if (ptrace(PTRACE_GETREGSET, target, NT_PRSTATUS, &io) < 0)
		return -errno;
#ifdef __x86_64__
	*ret_pc = regs.rip;
#else
	*ret_pc = regs.pc;
#endif
	return 0;
}

/* Until told to end, or until the process is gone. */
static int step_on(void)
{
	uint64_t pc = 0, last = 0;
	int status, deliver = 0;

	while (wanted) {
		if (ptrace(PTRACE_SINGLESTEP, target, NULL, (void *)(intptr_t)deliver) < 0)
			return -errno;
		while (waitpid(target, &status, __WALL) < 0)
			if (errno != EINTR)
				return -errno;
		if (!WIFSTOPPED(status))
			return -ESRCH;
		deliver = WSTOPSIG(status);
		if (deliver != SIGTRAP)
			continue;
		deliver = 0;
		int r = program_counter(&pc);
		if (r < 0)
			return r;
		/* A repeated string instruction is one, however many bytes it moves. */
		if (pc != last)
			count(pc);
		last = pc;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	int status;

	target = argc == 2 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	if (target <= 0) {
		(void)fprintf(stderr, "usage: count-steps PID\n");
		return 64;
	}
	if (ptrace(PTRACE_SEIZE, target, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, target, NULL, NULL) < 0 ||
	    waitpid(target, &status, __WALL) < 0) {
		(void)fprintf(stderr, "count-steps: process %d: %s\n", (int)target,
			      strerror(errno));
		return 1;
	}
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)puts("attached");
	(void)fflush(stdout);
	int r = step_on();
	(void)ptrace(PTRACE_DETACH, target, NULL, NULL);
	if (r < 0) {
		(void)fprintf(stderr, "count-steps: process %d: %s\n", (int)target, strerror(-r));
		return 1;
	}
	for (size_t i = 0; i < ROOM; i++)
		if (places[i].address)
			(void)printf("%" PRIx64 " %" PRIu64 "\n", places[i].address,
				     places[i].count);
	return 0;
}
