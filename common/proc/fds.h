/* Descriptors across exec. */
#pragma once

#include <stddef.h>

#include "common/base/err.h"

/*
 * Places fds[i] at number first + i for the program about to be exec'd (close-on-exec cleared), closing everything else
 * above 2. fds may overlap the target range. Async-signal-safe: used between fork and exec.
 */
int bf_fds_place(const int *fds, size_t count, int first);

/* A sealed memfd holding bytes, close-on-exec; -errno. */
int bf_memfd_sealed(const char *name, const void *bytes, size_t len);

/* Maps a sealed memfd read-only and no-dump; 0 or an error if it is not sealed against writes and size changes. */
int bf_memfd_map(int fd, const void **ret_bytes, size_t *ret_len, struct bf_err *err);
void bf_memfd_unmap(const void *bytes, size_t len);
