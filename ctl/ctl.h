/* bifrostctl: what its commands share. Its life is one command; nothing here is freed before the
 * end. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/macros.h"
#include "ctl/args.h"

/* Documented in bifrostctl(1): scripts rely on them. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_NOT_RUNNING = 2,
	CTL_REFUSED = 3, /* by the gateway */
	CTL_USAGE = 64,
};

struct ctl {
	FILE *out, *err;
	const char *runtime_dir;
	bool json;
	int fd;                /* of the control socket; -1: not connected */
	unsigned next_request; /* last request id given out */
	struct bf_arena arena; /* decoded messages */
	unsigned char *frame;  /* BF_FRAME_MAX bytes: the frame received last */
};

struct ctl_command {
	const char *name;
	const char *args; /* for the help text; "" when there are none */
	const char *help; /* one line; NULL: a hidden command */
	bool has_json;
	/* Returns an enum ctl_exit. */
	int (*run)(struct ctl *ctl, struct ctl_args *args);
};

/* Ended by a row without a name. */
extern const struct ctl_command ctl_commands[];

/* The whole program: returns its exit code. */
int ctl_run(int argc, char **argv, FILE *out, FILE *err);

/* Prints "bifrostctl: TEXT" on err and returns code. */
int ctl_fail(struct ctl *ctl, int code, const char *fmt, ...) BF_PRINTF(3, 4);

/*
 * Takes "--name VALUE" or "--name=VALUE" out, if it is there; what names such a value. CTL_USAGE
 * with its line when there is no value, or when it stands there twice.
 */
int ctl_option(struct ctl *ctl, struct ctl_args *args, const char *name, const char *what,
	       const char **ret_value);

/* Complains about what is left in args; CTL_OK when nothing is. */
int ctl_no_more(struct ctl *ctl, const struct ctl_args *args);

int ctl_status(struct ctl *ctl, struct ctl_args *args);
int ctl_restart(struct ctl *ctl, struct ctl_args *args);
int ctl_reload(struct ctl *ctl, struct ctl_args *args);
int ctl_check(struct ctl *ctl, struct ctl_args *args);
int ctl_drain(struct ctl *ctl, struct ctl_args *args);
int ctl_trace(struct ctl *ctl, struct ctl_args *args);
int ctl_limits(struct ctl *ctl, struct ctl_args *args);
int ctl_dump(struct ctl *ctl, struct ctl_args *args);
int ctl_describe_protocol(struct ctl *ctl, struct ctl_args *args);
