/* Configurations as the children get them: one sealed memfd per role, never decoded here. */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"
#include "common/ipc/frame.h"
#include "common/schema/load.h"

struct slices {
	int fds[BF_ROLE_COUNT]; /* -1 for roles that are no children */
};

void slices_init(struct slices *s);

/* Seals what the bundle holds for each role. */
int slices_seal(struct slices *s, const struct bf_bundle *bundle, struct bf_err *err);

/* Do both descriptors hold the same bytes? False when one cannot be read. */
bool slices_equal(int a, int b);

/* A descriptor of one's own for the same bytes, or -errno. */
int slices_dup(int fd);

void slices_close(struct slices *s);
