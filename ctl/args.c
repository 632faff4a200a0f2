/*
 * The words of a command line. Called by run.c for what all commands know and by each command for
 * its own. Must never swallow a word that nobody asked for: ctl_no_more complains about the rest.
 */
#include "ctl/args.h"

#include <string.h>

int ctl_args_init(struct ctl_args *args, int argc, char **argv)
{
	args->count = 0;
	for (int i = 1; i < argc; i++) {
		if (args->count == CTL_MAX_WORDS)
			return -1;
		args->words[args->count++] = argv[i];
	}
	return 0;
}

static void take(struct ctl_args *args, int at, int n)
{
	for (int i = at; i + n < args->count; i++)
		args->words[i] = args->words[i + n];
	args->count -= n;
}

bool ctl_args_flag(struct ctl_args *args, const char *name)
{
	bool found = false;

	for (int i = args->count - 1; i >= 0; i--) {
		if (strcmp(args->words[i], name) != 0)
			continue;
		take(args, i, 1);
		found = true;
	}
	return found;
}

int ctl_args_value(struct ctl_args *args, const char *name, const char **ret_value)
{
	size_t len = strlen(name);

	for (int i = 0; i < args->count; i++) {
		const char *word = args->words[i];
		if (strncmp(word, name, len) != 0 || (word[len] != '=' && word[len] != '\0'))
			continue;
		if (word[len] == '=') {
			*ret_value = word + len + 1;
			take(args, i, 1);
			return word[len + 1] ? 1 : -1;
		}
		if (i + 1 == args->count || args->words[i + 1][0] == '\0')
			return -1;
		*ret_value = args->words[i + 1];
		take(args, i, 2);
		return 1;
	}
	return 0;
}

const char *ctl_args_operand(struct ctl_args *args)
{
	if (args->count == 0 || args->words[0][0] == '-')
		return NULL;

	const char *word = args->words[0];
	take(args, 0, 1);
	return word;
}
