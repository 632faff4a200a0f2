/*
 * The fence around a running process: no_new_privs, Landlock, seccomp, in this order. Called once
 * by the child runtime after everything that needs more has been opened. What is allowed stands in
 * sandbox_calls.c.
 */
#include "common/proc/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/proc/sandbox_priv.h"

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1ul << 2)
#endif

#if BF_SANITIZER
/* LeakSanitizer looks for leaks with clone and ptrace, which no process here may have: a fenced one
 * goes without. */
static int fenced;

int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
	return fenced;
}
#endif

static void write_number(char *out, unsigned value)
{
	char digits[20], *end = digits + sizeof(digits), *from = bf_format_u64_before(end, value);

	memcpy(out, from, (size_t)(end - from));
	out[end - from] = '\0';
}

/*
 * Names the call and dies of SIGSYS, because the table answers execve with death.
 * Async-signal-safe.
 */
static void on_refused(int sig, siginfo_t *info, void *context)
{
	char line[96] = "level=error event=forbidden_syscall nr=";

	(void)sig;
	(void)context;
	write_number(line + strlen(line), (unsigned)info->si_syscall);
	line[strlen(line)] = '\n';
	(void)!write(STDERR_FILENO, line, strlen(line));
	(void)syscall(SYS_execve, NULL, NULL, NULL);
	_exit(128 + SIGSYS);
}

static int install_handler(struct bf_err *err)
{
	struct sigaction sa = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};

	if (sigfillset(&sa.sa_mask) < 0 || sigaction(SIGSYS, &sa, NULL) < 0)
		return bf_err_sys(err, -errno, "sandbox: sigaction");
	return 0;
}

/*
 * Speculation mitigations are not asked for: these processes run no code but their own, and on
 * kernels before 5.16 they would cost every branch.
 */
static int apply_seccomp(unsigned groups, struct bf_err *err)
{
	struct bf_program program;
	struct sock_fprog fprog;
	int r = bf_program_build(&program, groups, (uint32_t)getpid());

	if (r < 0)
		return bf_err_set(err, r, "sandbox: the system call table is too long");
	fprog = (struct sock_fprog){.len = program.len, .filter = program.code};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &fprog) <
	    0)
		return bf_err_sys(
		    err, -errno,
		    "sandbox: seccomp filter: the kernel must have CONFIG_SECCOMP_FILTER");
	return 0;
}

int bf_sandbox_apply(const struct bf_sandbox *sandbox, const char *state_dir,
		     const char *runtime_dir, struct bf_sandbox_report *ret_report,
		     struct bf_err *err)
{
	struct bf_sandbox_report report = {0};
	int abi = bf_landlock_abi();
	int r = install_handler(err);

	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return bf_err_sys(err, -errno, "sandbox: no_new_privs");
	if (abi > 0)
		r = bf_landlock_apply(sandbox, state_dir, runtime_dir, abi, &report, err);
	if (r == 0)
		r = apply_seccomp(sandbox->groups, err);
	if (r < 0)
		return r;
	report.seccomp = true;
#if BF_SANITIZER
	fenced = 1;
#endif
	*ret_report = report;
	return 0;
}
