/* Giving up rights: user, groups, capabilities, contents of core files. */
#pragma once

#include "common/base/err.h"

/*
 * Becomes user (name) with its groups and verifies that root cannot be taken back. user NULL or "":
 * stays who it is, and drops all capabilities when it is not root. Refuses a user that is root by
 * another name.
 */
int bf_privdrop(const char *user, struct bf_err *err);

/*
 * Core files of this process leave out shared mappings and no-dump pages (coredump_filter, see
 * secret memory). After bf_privdrop. On an error core files are off altogether (or err says that
 * even this failed): worth a warning.
 */
int bf_core_limit_contents(struct bf_err *err);
