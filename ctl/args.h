/* The words of a command line: options are taken out of the list, what is left are the operands in
 * order. */
#pragma once

#include <stdbool.h>

#define CTL_MAX_WORDS 32

struct ctl_args {
	const char *words[CTL_MAX_WORDS];
	int count;
};

/* 0, or -1 when there are more words than the list holds. */
int ctl_args_init(struct ctl_args *args, int argc, char **argv);

/* Takes every "--name" out; true when there was one. */
bool ctl_args_flag(struct ctl_args *args, const char *name);

/* Takes "--name VALUE" or "--name=VALUE" out. 1, 0 when it is not there, -1 when the value is
 * missing. */
int ctl_args_value(struct ctl_args *args, const char *name, const char **ret_value);

/* Takes the first operand out; NULL when the next word is an option or there is none. */
const char *ctl_args_operand(struct ctl_args *args);
