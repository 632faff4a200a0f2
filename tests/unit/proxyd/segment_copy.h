/* The segment of a harness as a death would leave it. */
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/proxyd/harness.h"

/* The segment as it is at this instant: what would be left if the worker died now. */
static void copy_segment(struct harness *of, struct shm_segment *ret_seg)
{
	static char bytes[1 << 16];
	struct bf_err err = {0};
	int fd = memfd_create("copy", MFD_CLOEXEC);
	off_t size = lseek(of->seg_fd, 0, SEEK_END);

	assert_int_equal(ftruncate(fd, size), 0);
	for (off_t at = 0; (at = lseek(of->seg_fd, at, SEEK_DATA)) >= 0 && at < size;) {
		ssize_t n = pread(of->seg_fd, bytes, sizeof(bytes), at);
		assert_true(n > 0);
		assert_int_equal(pwrite(fd, bytes, (size_t)n, at), n);
		at += n;
	}
	if (shm_segment_attach(fd, false, NULL, ret_seg, &err) < 0)
		fail_msg("%s", err.text);
	(void)close(fd);
}
