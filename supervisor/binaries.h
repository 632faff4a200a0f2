/*
 * The programs of the children, opened once at start: what runs is what was installed when the
 * supervisor began, so a package upgrade cannot mix versions.
 */
#pragma once

#include "common/base/err.h"
#include "common/ipc/frame.h"

struct binaries {
	int fds[BF_ROLE_COUNT]; /* O_PATH; -1 for roles that are no children */
	int config_helper;
	char folder[4096]; /* all of them come from here */
};

/*
 * Takes the first folder that has all of them: $BIFROST_LIBEXEC_DIR (then no other), the folder of
 * this program, the compiled-in one. Says which program is missing.
 */
int binaries_open(struct binaries *b, struct bf_err *err);

/* Holds nothing; binaries_close may follow. */
void binaries_init(struct binaries *b);

/* As binaries_open, from one folder. */
int binaries_open_in(struct binaries *b, const char *folder, struct bf_err *err);
void binaries_close(struct binaries *b);
