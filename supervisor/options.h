/* The command line. */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"

enum options_mode {
	OPTIONS_RUN,
	OPTIONS_CHECK,
	OPTIONS_DUMP_SCHEMA,
	OPTIONS_DUMP_OPENAPI,
	OPTIONS_VERSION,
	OPTIONS_HELP,
};

struct options {
	enum options_mode mode;
	const char *file; /* never NULL */
	const char *user; /* NULL: stay who we are */
};

#define OPTIONS_DEFAULT_FILE "/etc/bifrost/bifrost.yaml"

/* 0, or BF_E_SYNTAX with a line that says what is wrong. Values refer to argv. */
int options_parse(int argc, char **argv, struct options *ret_options, struct bf_err *err);

extern const char options_help[];
