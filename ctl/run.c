/*
 * Command line of bifrostctl: what all commands know, the table of commands, help. Called by main
 * and by the tests. Must never accept an option that has no effect.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ipc/frame.h"
#include "common/proc/child.h"
#include "common/proc/contract.h"
#include "ctl/ctl.h"

#define DEFAULT_RUNTIME_DIR "/run/bifrost"
#define ARENA_BYTES         (16u << 20)

const struct ctl_command ctl_commands[] = {
    {"status", "", "show the processes of the gateway and what they have to say", true, ctl_status},
    {"restart", "NAME", "replace one process (proxyd.0, writerd, ...) without losing a request",
     true, ctl_restart},
    {"reload", "", "read the configuration again; nothing changes unless all of it is valid", true,
     ctl_reload},
    {"check", "[FILE]",
     "check a configuration file without using it (default /etc/bifrost/bifrost.yaml)", false,
     ctl_check},
    {"drain", "[--off]", "finish what runs and take no new work; --off takes work again", true,
     ctl_drain},
    {"limits", "[KEY]",
     "show limits and how they stand; --owner team:blue: those of an owner; --accept-clock: the "
     "clock is right",
     true, ctl_limits},
    {"trace", "[--count N]",
     "show the control messages that pass, secrets masked, until interrupted", true, ctl_trace},
    {"dump", "", "show the shared segment, also that of a node that is down", true, ctl_dump},
    {"describe-protocol", "", NULL, false, ctl_describe_protocol},
    {NULL, NULL, NULL, false, NULL},
};

int ctl_fail(struct ctl *ctl, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fputs("bifrostctl: ", ctl->err);
	(void)vfprintf(ctl->err, fmt, ap);
	(void)fputc('\n', ctl->err);
	va_end(ap);
	return code;
}

int ctl_option(struct ctl *ctl, struct ctl_args *args, const char *name, const char *what,
	       const char **ret_value)
{
	const char *again;
	int given = ctl_args_value(args, name, ret_value);

	if (given < 0)
		return ctl_fail(ctl, CTL_USAGE, "%s needs %s", name, what);
	if (given && ctl_args_value(args, name, &again) != 0)
		return ctl_fail(ctl, CTL_USAGE, "%s is given twice", name);
	return CTL_OK;
}

int ctl_no_more(struct ctl *ctl, const struct ctl_args *args)
{
	if (args->count == 0)
		return CTL_OK;
	return ctl_fail(ctl, CTL_USAGE, "%s \"%s\" is not known here: see bifrostctl --help",
			args->words[0][0] == '-' ? "the option" : "the word", args->words[0]);
}

static void print_help(FILE *out)
{
	(void)fputs("usage: bifrostctl [--runtime-dir DIR] [--json] COMMAND\n\ncommands:\n", out);
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		if (c->help)
			(void)fprintf(out, "  %-8s %-12s %s\n", c->name, c->args, c->help);
	}
	(void)fputs(
	    "\noptions:\n"
	    "  --runtime-dir DIR  folder of the running gateway (default $BIFROST_RUNTIME_DIR, "
	    "else " DEFAULT_RUNTIME_DIR ")\n"
	    "  --json             answers for machines: one JSON object, with trace one a line\n"
	    "  --version          version and build\n"
	    "  --help             this text\n"
	    "\nexit codes: 0 ok, 1 failed, 2 the gateway is not running, 3 refused by the gateway, "
	    "64 usage\n",
	    out);
}

static const struct ctl_command *find_command(const char *name)
{
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static int run_command(struct ctl *ctl, struct ctl_args *args)
{
	const char *name = ctl_args_operand(args);

	if (!name && args->count)
		return ctl_no_more(ctl, args);
	if (!name) {
		print_help(ctl->err);
		return CTL_USAGE;
	}
	const struct ctl_command *command = find_command(name);
	if (!command)
		return ctl_fail(ctl, CTL_USAGE, "no command \"%s\": see bifrostctl --help", name);
	if (ctl->json && !command->has_json)
		return ctl_fail(ctl, CTL_USAGE, "%s has no --json form: leave the option out",
				name);
	return command->run(ctl, args);
}

static int dispatch(struct ctl *ctl, struct ctl_args *args)
{
	const char *env = getenv(BF_ENV_RUNTIME_DIR);

	if (ctl_args_flag(args, "--help") || ctl_args_flag(args, "-h")) {
		print_help(ctl->out);
		return CTL_OK;
	}
	if (ctl_args_flag(args, "--version")) {
		(void)fprintf(ctl->out, "bifrostctl %s (build %s)\n", bf_version(), bf_build_id());
		return CTL_OK;
	}
	ctl->json = ctl_args_flag(args, "--json");
	ctl->runtime_dir = env && env[0] ? env : DEFAULT_RUNTIME_DIR;
	int r = ctl_option(ctl, args, "--runtime-dir", "a folder", &ctl->runtime_dir);
	return r == CTL_OK ? run_command(ctl, args) : r;
}

int ctl_run(int argc, char **argv, FILE *out, FILE *err)
{
	struct ctl ctl = {.out = out, .err = err, .fd = -1, .frame = malloc(BF_FRAME_MAX)};
	struct ctl_args args;
	int code;

	if (!ctl.frame)
		return ctl_fail(&ctl, CTL_FAILED, "out of memory");
	bf_arena_init(&ctl.arena, ARENA_BYTES);
	if (ctl_args_init(&args, argc, argv) < 0)
		code = ctl_fail(&ctl, CTL_USAGE, "more than %d words: see bifrostctl --help",
				CTL_MAX_WORDS);
	else
		code = dispatch(&ctl, &args);

	if (ctl.fd >= 0)
		(void)close(ctl.fd);
	bf_arena_done(&ctl.arena);
	free(ctl.frame);
	if (fflush(out) != 0 && code == CTL_OK)
		code = ctl_fail(&ctl, CTL_FAILED, "the output could not be written");
	return code;
}
