/*
 * From the table of system calls to a classic BPF program. Called by bf_sandbox_apply and by tests,
 * which run the program in an interpreter of their own.
 *
 * A linear list is enough: since Linux 5.11 the kernel remembers per call number that the answer is
 * "allow" when it does not depend on arguments, and hot calls carry no checks.
 */
#include "common/proc/sandbox_priv.h"

#include <linux/audit.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "sandbox: name the audit architecture of this machine"
#endif

#define X32_BIT 0x40000000u

static void emit(struct bf_program *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (p->len == BF_PROGRAM_MAX) {
		p->overflow = 1;
		return;
	}
	p->code[p->len++] = (struct sock_filter){.code = code, .jt = jt, .jf = jf, .k = k};
}

static void emit_load(struct bf_program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void emit_return(struct bf_program *p, uint32_t verdict)
{
	emit(p, BPF_RET | BPF_K, 0, 0, verdict);
}

static size_t word_offset(uint8_t word)
{
	size_t half = word & 1u;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	half = 1 - half;
#endif
	return offsetof(struct seccomp_data, args) + (size_t)(word / 2) * sizeof(uint64_t) +
	       half * sizeof(uint32_t);
}

static uint8_t check_len(const struct bf_call_check *c)
{
	return (uint8_t)(2 + c->count); /* load, and, one comparison each */
}

/* rest: instructions between the end of this check and the end of the rule. */
static void emit_check(struct bf_program *p, const struct bf_call_check *c, uint8_t rest,
		       uint32_t own_pid)
{
	emit_load(p, word_offset(c->word));
	emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, c->mask);
	for (uint8_t i = 0; i < c->count; i++) {
		uint8_t last = (uint8_t)(c->count - 1 - i);
		uint32_t value = c == &bf_call_own_pid ? own_pid : c->values[i];

		emit(p, BPF_JMP | BPF_JEQ | BPF_K, last, last == 0 ? rest : 0, value);
	}
}

static void emit_rule(struct bf_program *p, const struct bf_call_rule *rule, uint32_t own_pid)
{
	uint8_t body = 1; /* the return */

	for (uint8_t i = 0; i < rule->check_count; i++)
		body = (uint8_t)(body + check_len(&rule->checks[i]));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, body, (uint32_t)rule->nr);
	for (uint8_t i = 0; i < rule->check_count; i++) {
		body = (uint8_t)(body - check_len(&rule->checks[i]));
		emit_check(p, &rule->checks[i], body, own_pid);
	}
	emit_return(p, rule->verdict);
	if (rule->check_count > 0)
		emit_load(p, offsetof(struct seccomp_data, nr));
}

int bf_program_build(struct bf_program *p, unsigned groups, uint32_t own_pid)
{
	p->len = 0;
	p->overflow = 0;
	emit_load(p, offsetof(struct seccomp_data, arch));
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, NATIVE_ARCH);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
	emit_load(p, offsetof(struct seccomp_data, nr));
	emit(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_BIT);
	emit_return(p, SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < bf_call_rule_count; i++) {
		const struct bf_call_rule *rule = &bf_call_rules[i];

		if (rule->groups == 0 || (rule->groups & groups) != 0)
			emit_rule(p, rule, own_pid);
	}
	emit_return(p, BF_CALL_DEFAULT);
	return p->overflow ? BF_E_LIMIT : 0;
}
