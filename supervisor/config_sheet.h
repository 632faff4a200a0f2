/* The price sheet of a configuration. */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/schema/config.h"

/* Where the installed sheet is: beside this program, as in a build folder, else in the folder of
 * data. "" when it is at neither place. Before the process gives up its rights. */
const char *config_sheet_find(void);

/*
 * Fills config->pricing.sheet from framework.pricing.pricing_file, relative to the folder of the
 * file called name, or from the installed sheet. Its lines of errors and warnings go to out. 0;
 * 1: there was an error; -ENOMEM.
 */
int config_sheet_load(struct bf_config *config, const char *name, const char *installed,
		      struct bf_arena *arena, struct bf_buf *out);
