/*
 * The program that the table of system calls becomes, run in an interpreter of this test: every
 * call number, every combination of groups, and the edges of each check on arguments.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/proc/sandbox_priv.h"

#if defined(__x86_64__)
#define ARCH  AUDIT_ARCH_X86_64
#define OTHER AUDIT_ARCH_I386
#else
#define ARCH  AUDIT_ARCH_AARCH64
#define OTHER AUDIT_ARCH_ARM
#endif

#define PID        4242u
#define ALL_GROUPS 127u
#define EPERM_BACK (SECCOMP_RET_ERRNO | EPERM)

struct outcome {
	uint32_t verdict;
	bool read_argument;
};

static uint32_t load(const struct seccomp_data *d, uint32_t offset, struct outcome *o)
{
	uint32_t word;

	assert_true(offset + sizeof(word) <= sizeof(*d) && offset % 4 == 0);
	o->read_argument |= offset >= offsetof(struct seccomp_data, args);
	memcpy(&word, (const char *)d + offset, sizeof(word));
	return word;
}

static bool compare(uint16_t code, uint32_t a, uint32_t k)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == k;
	case BPF_JGE:
		return a >= k;
	default:
		fail_msg("jump %#x is not in use here", code);
		return false;
	}
}

static struct outcome run(const struct bf_program *p, const struct seccomp_data *d)
{
	struct outcome o = {0, false};
	uint32_t a = 0;

	for (size_t pc = 0; pc < p->len; pc++) {
		const struct sock_filter *i = &p->code[pc];

		if (i->code == (BPF_RET | BPF_K)) {
			o.verdict = i->k;
			return o;
		}
		if (i->code == (BPF_LD | BPF_W | BPF_ABS))
			a = load(d, i->k, &o);
		else if (i->code == (BPF_ALU | BPF_AND | BPF_K))
			a &= i->k;
		else
			pc += compare(i->code, a, i->k) ? i->jt : i->jf;
	}
	fail_msg("the program runs over its end");
	return o;
}

static struct outcome ask(unsigned groups, int nr, const uint64_t args[6])
{
	static struct bf_program p;
	struct seccomp_data d = {.nr = nr, .arch = ARCH};

	assert_int_equal(bf_program_build(&p, groups, PID), 0);
	if (args != NULL)
		memcpy(d.args, args, sizeof(d.args));
	return run(&p, &d);
}

static uint32_t verdict(unsigned groups, long nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	const uint64_t args[6] = {a0, a1, a2, 0, 0, 0};

	return ask(groups, (int)nr, args).verdict;
}

static void other_architectures_die(void **state)
{
	static struct bf_program p;
	struct seccomp_data d = {.nr = SYS_read, .arch = OTHER};

	(void)state;
	assert_int_equal(bf_program_build(&p, ALL_GROUPS, PID), 0);
	assert_int_equal(run(&p, &d).verdict, SECCOMP_RET_KILL_PROCESS);
	d.arch = 0;
	assert_int_equal(run(&p, &d).verdict, SECCOMP_RET_KILL_PROCESS);
	d.arch = ARCH;
	assert_int_equal(run(&p, &d).verdict, SECCOMP_RET_ALLOW);
	d.nr = SYS_read | 0x40000000; /* x32 */
	assert_int_equal(run(&p, &d).verdict, SECCOMP_RET_KILL_PROCESS);
	d.nr = -1;
	assert_int_equal(run(&p, &d).verdict, SECCOMP_RET_KILL_PROCESS);
}

/* A program with a wild jump would not be loaded; here it is seen for all 128 combinations of
 * groups. */
static void every_jump_stays_inside(void **state)
{
	static struct bf_program p;

	(void)state;
	for (unsigned groups = 0; groups <= ALL_GROUPS; groups++) {
		assert_int_equal(bf_program_build(&p, groups, PID), 0);
		assert_int_equal(p.code[p.len - 1].code, BPF_RET | BPF_K);
		for (size_t i = 0; i < p.len; i++) {
			if (BPF_CLASS(p.code[i].code) != BPF_JMP)
				continue;
			assert_true(i + 1 + p.code[i].jt < p.len);
			assert_true(i + 1 + p.code[i].jf < p.len);
		}
	}
}

/* Numbers nobody has heard of, and every number when a process has no groups at all: never allowed.
 */
static void nothing_is_allowed_by_accident(void **state)
{
	(void)state;
	for (int nr = 0; nr < 1024; nr++) {
		assert_int_not_equal(ask(0, nr, NULL).verdict, SECCOMP_RET_ALLOW);
		if (nr >= 470)
			assert_int_equal(ask(ALL_GROUPS, nr, NULL).verdict, SECCOMP_RET_TRAP);
	}
}

/* What each group adds to nothing, counted: a new call in a group is a decision, not a side effect.
 */
static void groups_are_small(void **state)
{
	static const struct {
		unsigned group;
		int most;
	} sizes[] = {{BF_SYS_BASE, 58 + BF_SANITIZER},
		     {BF_SYS_CHANNEL, 6},
		     {BF_SYS_ACCEPT, 10},
		     {BF_SYS_CONNECT, 11},
		     {BF_SYS_FILES, 36},
		     {BF_SYS_THREADS, 5},
		     {BF_SYS_MEMFD, 4}};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(sizes); i++) {
		int allowed = 0;

		for (size_t r = 0; r < bf_call_rule_count; r++)
			allowed += (bf_call_rules[r].groups & sizes[i].group) != 0;
		assert_in_range(allowed, 1, sizes[i].most);
	}
}

/* The kernel caches "allow" per number only where no argument is read. */
static void hot_calls_do_not_depend_on_arguments(void **state)
{
	static const int hot[] = {
	    SYS_read,       SYS_write,    SYS_writev,  SYS_epoll_pwait, SYS_epoll_ctl,
	    SYS_close,      SYS_recvfrom, SYS_sendto,  SYS_recvmsg,     SYS_sendmsg,
	    SYS_accept4,    SYS_futex,    SYS_connect, SYS_munmap,      SYS_madvise,
#ifdef SYS_epoll_wait
	    SYS_epoll_wait,
#endif
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(hot); i++) {
		struct outcome o = ask(ALL_GROUPS, hot[i], NULL);

		assert_int_equal(o.verdict, SECCOMP_RET_ALLOW);
		assert_false(o.read_argument);
	}
}

static void no_groups_no_programs(void **state)
{
	static const int never[] = {SYS_execve,         SYS_execveat,
				    SYS_ptrace,         SYS_bpf,
				    SYS_mount,          SYS_setns,
				    SYS_unshare,        SYS_keyctl,
				    SYS_io_uring_setup, SYS_process_vm_writev};

	(void)state;
	for (unsigned groups = 0; groups <= ALL_GROUPS; groups++) {
		for (size_t i = 0; i < BF_ARRAY_LEN(never); i++)
			assert_int_equal(ask(groups, never[i], NULL).verdict,
					 SECCOMP_RET_KILL_PROCESS);
	}
}

static void memory_is_never_executable(void **state)
{
	const uint64_t high = (uint64_t)1 << 32;

	(void)state;
	assert_int_equal(verdict(1, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(1, SYS_mmap, 0, 4096, PROT_NONE), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(1, SYS_mmap, 0, 4096, PROT_EXEC), EPERM_BACK);
	assert_int_equal(verdict(ALL_GROUPS, SYS_mmap, 0, 4096, 0xffffffffffffffff), EPERM_BACK);
	assert_int_equal(verdict(ALL_GROUPS, SYS_mmap, 0, 4096, high | PROT_READ | PROT_EXEC),
			 EPERM_BACK);
	assert_int_equal(verdict(1, SYS_mprotect, 0, 4096, PROT_READ), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(ALL_GROUPS, SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC),
			 EPERM_BACK);
	assert_int_equal(verdict(ALL_GROUPS, SYS_pkey_mprotect, 0, 4096, PROT_READ),
			 SECCOMP_RET_TRAP);
}

static void sockets_are_internet_sockets(void **state)
{
	const unsigned c = BF_SYS_BASE | BF_SYS_CONNECT;

	(void)state;
	for (uint64_t family = 0; family < 64; family++) {
		for (uint64_t type = 0; type < 16; type++) {
			bool good = (family == AF_INET || family == AF_INET6) &&
				    (type == SOCK_STREAM || type == SOCK_DGRAM);

			assert_int_equal(
			    verdict(c, SYS_socket, family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
			    good ? SECCOMP_RET_ALLOW : EPERM_BACK);
			assert_int_equal(verdict(ALL_GROUPS & ~(unsigned)BF_SYS_CONNECT, SYS_socket,
						 family, type, 0),
					 EPERM_BACK);
		}
	}
	assert_int_equal(verdict(c, SYS_setsockopt, 3, IPPROTO_TCP, 1), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(c, SYS_setsockopt, 3, SOL_SOCKET, 1), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(c, SYS_setsockopt, 3, IPPROTO_IP, 64), EPERM_BACK);
}

static void threads_are_threads(void **state)
{
	const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
				CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
				CLONE_CHILD_CLEARTID;
	const unsigned t = BF_SYS_BASE | BF_SYS_THREADS;
	const uint32_t no = BF_SANITIZER ? EPERM_BACK : SECCOMP_RET_TRAP;

	(void)state;
	assert_int_equal(verdict(t, SYS_clone, thread, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(BF_SYS_BASE, SYS_clone, thread, 0, 0), no);
	assert_int_equal(verdict(t, SYS_clone, SIGCHLD, 0, 0), no);
	assert_int_equal(verdict(t, SYS_clone, thread & ~(uint64_t)CLONE_THREAD, 0, 0), no);
	for (int bit = 0; bit < 32; bit++) {
		const uint64_t bad = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
				     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_VFORK |
				     CLONE_PTRACE;

		if (bad & (1ull << bit))
			assert_int_equal(verdict(t, SYS_clone, thread | 1ull << bit, 0, 0), no);
	}
	assert_int_equal(verdict(t, SYS_clone3, 0, 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
}

static void signals_go_to_itself(void **state)
{
	(void)state;
	assert_int_equal(verdict(1, SYS_tgkill, PID, PID, 6), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(1, SYS_tgkill, PID + 1, PID, 6), SECCOMP_RET_TRAP);
	assert_int_equal(verdict(1, SYS_tgkill, 1, 1, 9), SECCOMP_RET_TRAP);
	assert_int_equal(verdict(ALL_GROUPS, SYS_kill, PID, 9, 0), SECCOMP_RET_TRAP);
}

static void limits_and_options_are_read_only(void **state)
{
	(void)state;
	assert_int_equal(verdict(1, SYS_prlimit64, 0, 7, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(1, SYS_prlimit64, 0, 7, 1), EPERM_BACK);
	assert_int_equal(verdict(1, SYS_prlimit64, 0, 7, (uint64_t)1 << 32), EPERM_BACK);
	assert_int_equal(verdict(1, SYS_prctl, PR_SET_NAME, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(ALL_GROUPS, SYS_prctl, PR_SET_DUMPABLE, 1, 0), EPERM_BACK);
	assert_int_equal(verdict(ALL_GROUPS, SYS_prctl, PR_SET_SECCOMP, 1, 0), EPERM_BACK);
	assert_int_equal(verdict(1, SYS_ioctl, 0, 0x5412 /* TIOCSTI */, 0), EPERM_BACK);
	assert_int_equal(verdict(1, SYS_ioctl, 0, 0x5401 /* TCGETS */, 0), EPERM_BACK);
}

static void descriptors_by_group(void **state)
{
	const unsigned files = BF_SYS_BASE | BF_SYS_FILES, memfd = BF_SYS_BASE | BF_SYS_MEMFD;
	const uint64_t by_fd[6] = {3, 0, 0, AT_EMPTY_PATH, 0, 0}, by_name[6] = {3, 0, 0, 0, 0, 0};

	(void)state;
	assert_int_equal(verdict(1, SYS_fcntl, 3, F_GETFL, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(1, SYS_fcntl, 3, F_SETOWN, 1), EPERM_BACK);
	assert_int_equal(verdict(1, SYS_fcntl, 3, F_ADD_SEALS, 1), EPERM_BACK);
	assert_int_equal(verdict(memfd, SYS_fcntl, 3, F_ADD_SEALS, 1), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(1, SYS_fcntl, 3, F_SETLK, 0), EPERM_BACK);
	assert_int_equal(verdict(files, SYS_fcntl, 3, F_SETLK, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(1, SYS_openat, 0, 0, 0), EPERM_BACK);
	assert_int_equal(verdict(files, SYS_openat, 0, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(1, SYS_unlinkat, 0, 0, 0), SECCOMP_RET_TRAP);
	assert_int_equal(ask(1, SYS_newfstatat, by_fd).verdict, SECCOMP_RET_ALLOW);
	assert_int_equal(ask(1, SYS_newfstatat, by_name).verdict, EPERM_BACK);
	assert_int_equal(ask(files, SYS_newfstatat, by_name).verdict, SECCOMP_RET_ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(other_architectures_die),
	    cmocka_unit_test(every_jump_stays_inside),
	    cmocka_unit_test(nothing_is_allowed_by_accident),
	    cmocka_unit_test(groups_are_small),
	    cmocka_unit_test(hot_calls_do_not_depend_on_arguments),
	    cmocka_unit_test(no_groups_no_programs),
	    cmocka_unit_test(memory_is_never_executable),
	    cmocka_unit_test(sockets_are_internet_sockets),
	    cmocka_unit_test(threads_are_threads),
	    cmocka_unit_test(signals_go_to_itself),
	    cmocka_unit_test(limits_and_options_are_read_only),
	    cmocka_unit_test(descriptors_by_group),
	};

	return cmocka_run_group_tests_name("common/proc/sandbox_bpf", tests, NULL, NULL);
}
