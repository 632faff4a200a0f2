/*
 * The name ps(1), top(1) and /proc show. Called once at the top of a child's main; must never write
 * past the strings the kernel laid out for argv.
 */
#include "common/proc/title.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

/* Bytes of the argument strings, terminators included, as far as they lie one behind the other. */
static size_t argv_space(int argc, char **argv)
{
	char *end = argv[0] + strlen(argv[0]) + 1;

	for (int i = 1; i < argc && argv[i] == end; i++)
		end += strlen(argv[i]) + 1;
	return (size_t)(end - argv[0]);
}

void bf_title_set(int argc, char **argv, const char *name, const char *detail)
{
	char comm[16];
	size_t space;

	(void)snprintf(comm, sizeof(comm), "%s", name);
	(void)prctl(PR_SET_NAME, comm, 0, 0, 0);
	if (argc < 1 || argv == NULL || argv[0] == NULL)
		return;
	space = argv_space(argc, argv);
	memset(argv[0], 0, space);
	if (detail != NULL && detail[0] != '\0')
		(void)snprintf(argv[0], space, "%s: %s", name, detail);
	else
		(void)snprintf(argv[0], space, "%s", name);
}
