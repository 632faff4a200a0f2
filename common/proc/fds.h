/* Descriptors across exec. */
#pragma once

#include <stddef.h>

#include "common/base/err.h"

#define BF_FDS_PLACE_MAX 4096u

/*
 * Places fds[i] at number first + i for the program about to be exec'd (close-on-exec cleared),
 * closing everything else above 2. fds may overlap the target range and may name one descriptor
 * twice. A descriptor to be fexecve'd must be in the list too: put it last and set FD_CLOEXEC on
 * its new number. Async-signal-safe: used between fork and exec. 0, -EINVAL (count above
 * BF_FDS_PLACE_MAX, first below 3), -EBADF, -EMFILE; after an error only _exit makes sense.
 */
int bf_fds_place(const int *fds, size_t count, int first);

/* A sealed memfd holding bytes, close-on-exec; -errno. */
int bf_memfd_sealed(const char *name, const void *bytes, size_t len);

/* Maps a sealed memfd read-only and no-dump; 0 or an error if it is not sealed against writes and
 * size changes. */
int bf_memfd_map(int fd, const void **ret_bytes, size_t *ret_len, struct bf_err *err);
void bf_memfd_unmap(const void *bytes, size_t len);
