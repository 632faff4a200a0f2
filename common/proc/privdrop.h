/* Giving up rights: user, groups, capabilities, dumpability. */
#pragma once

#include "common/base/err.h"

/*
 * Becomes user (name) with its groups and verifies that root cannot be taken back. user NULL or "": stays who it is, and
 * drops all capabilities when it is not root.
 */
int bf_privdrop(const char *user, struct bf_err *err);

/* Core files of this process leave out shared mappings and no-dump pages (coredump_filter, see secret memory). */
int bf_core_limit_contents(struct bf_err *err);
