/* Command line of bifrost, for main.c. Only says what is wanted; does nothing of it. */
#include "supervisor/options.h"

#include <string.h>

const char options_help[] =
    "usage: bifrost [-c FILE] [--user NAME]   run in the foreground\n"
    "       bifrost --check [-c FILE]         check the configuration, print every error\n"
    "       bifrost --dump-schema             print the JSON schema of the configuration\n"
    "       bifrost --dump-openapi            print the management API as an OpenAPI document\n"
    "       bifrost --version | --help\n"
    "\n"
    "  -c, --config FILE   YAML or JSON (default " OPTIONS_DEFAULT_FILE ")\n"
    "  --user NAME         children and folders belong to this user (only for root)\n"
    "\n"
    "BIFROST_STATE_DIR and BIFROST_RUNTIME_DIR win over supervisor.state_dir and runtime_dir.\n"
    "SIGHUP reloads, SIGTERM stops in order. Manual: man 8 bifrost\n";

/* "--name VALUE" and "--name=VALUE": 1 when argv[*i] is this option; *ret is NULL when the value is
 * missing. */
static int takes_value(int argc, char **argv, int *i, const char *name, const char **ret)
{
	const char *arg = argv[*i];
	size_t len = strlen(name);

	if (strncmp(arg, name, len) != 0 || (arg[len] != '\0' && arg[len] != '='))
		return 0;
	if (arg[len] == '=')
		*ret = arg + len + 1;
	else
		*ret = *i + 1 < argc ? argv[++*i] : NULL;
	if (*ret && **ret == '\0')
		*ret = NULL;
	return 1;
}

static int set_mode(struct options *o, enum options_mode mode, const char *arg, struct bf_err *err)
{
	if (o->mode != OPTIONS_RUN && o->mode != mode)
		return bf_err_set(err, BF_E_SYNTAX, "%s: does not go with the option before it",
				  arg);
	o->mode = mode;
	return 0;
}

static int parse_flag(struct options *o, const char *arg, struct bf_err *err)
{
	static const struct {
		const char *name;
		enum options_mode mode;
	} flags[] = {
	    {"--check", OPTIONS_CHECK},
	    {"--dump-schema", OPTIONS_DUMP_SCHEMA},
	    {"--dump-openapi", OPTIONS_DUMP_OPENAPI},
	    {"--version", OPTIONS_VERSION},
	    {"-V", OPTIONS_VERSION},
	    {"--help", OPTIONS_HELP},
	    {"-h", OPTIONS_HELP},
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(arg, flags[i].name) == 0)
			return set_mode(o, flags[i].mode, arg, err);
	}
	return bf_err_set(err, BF_E_SYNTAX, "%s: unknown option (see bifrost --help)", arg);
}

int options_parse(int argc, char **argv, struct options *ret_options, struct bf_err *err)
{
	struct options o = {.mode = OPTIONS_RUN, .file = OPTIONS_DEFAULT_FILE};

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		const char *value = NULL;
		int r;

		if (takes_value(argc, argv, &i, "-c", &value) ||
		    takes_value(argc, argv, &i, "--config", &value)) {
			if (!value)
				return bf_err_set(err, BF_E_SYNTAX, "%s: give a file", arg);
			o.file = value;
			continue;
		}
		if (takes_value(argc, argv, &i, "--user", &value)) {
			if (!value)
				return bf_err_set(err, BF_E_SYNTAX, "%s: give a user's name", arg);
			o.user = value;
			continue;
		}
		r = parse_flag(&o, arg, err);
		if (r < 0)
			return r;
	}
	*ret_options = o;
	return 0;
}
