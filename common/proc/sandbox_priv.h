/* Parts of the sandbox, for common/proc/sandbox*.c and their tests. */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include "common/proc/sandbox.h"

#if defined(__has_feature) /* clang */
#define BF_ADDRESS_SANITIZER __has_feature(address_sanitizer)
#define BF_THREAD_SANITIZER  __has_feature(thread_sanitizer)
#else
#ifdef __SANITIZE_ADDRESS__
#define BF_ADDRESS_SANITIZER 1
#else
#define BF_ADDRESS_SANITIZER 0
#endif
#ifdef __SANITIZE_THREAD__
#define BF_THREAD_SANITIZER 1
#else
#define BF_THREAD_SANITIZER 0
#endif
#endif
#define BF_SANITIZER (BF_ADDRESS_SANITIZER || BF_THREAD_SANITIZER)

#define BF_CALL_VALUES_MAX 8

/* (word & mask) equals one of values. A call's six 64-bit arguments are words 0..11, lower halves
 * even. */
struct bf_call_check {
	uint8_t word;
	uint8_t count;
	uint32_t mask;
	uint32_t values[BF_CALL_VALUES_MAX];
};

/*
 * The first rule with this number, a group in common with the process (0: always) and all checks
 * true decides. Its verdict is a SECCOMP_RET_ value.
 */
struct bf_call_rule {
	int nr;
	unsigned groups;
	uint32_t verdict;
	uint8_t check_count;
	const struct bf_call_check *checks;
};

/* The table of every process; own_pid rules are those whose check is bf_call_own_pid. */
extern const struct bf_call_rule bf_call_rules[];
extern const size_t bf_call_rule_count;
/* Stands for the calling process: the builder replaces its value. */
extern const struct bf_call_check bf_call_own_pid;

#define BF_CALL_DEFAULT SECCOMP_RET_TRAP
#define BF_PROGRAM_MAX  1024

struct bf_program {
	struct sock_filter code[BF_PROGRAM_MAX];
	uint16_t len;
	int overflow; /* more than BF_PROGRAM_MAX instructions were wanted */
};

/* Table to BPF: architecture and x32 first, then the rules of these groups in order, then
 * BF_CALL_DEFAULT. 0 or BF_E_LIMIT. */
int bf_program_build(struct bf_program *p, unsigned groups, uint32_t own_pid);

/* Highest Landlock ABI of the kernel, 0 for none. */
int bf_landlock_abi(void);
/* Applies path, network and scope rules as far as abi knows them and fills the report. no_new_privs
 * must be set. */
int bf_landlock_apply(const struct bf_sandbox *sandbox, const char *state_dir,
		      const char *runtime_dir, int abi, struct bf_sandbox_report *report,
		      struct bf_err *err);
