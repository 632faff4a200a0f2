/*
 * Descriptors across exec: placing them at the numbers of the contract, and sealed memfds that
 * carry bytes to a child.
 *
 * bf_fds_place runs between fork and exec: it must not allocate, log, or call anything that is not
 * async-signal-safe.
 */
#include "common/proc/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SEALS_NEEDED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Closes from..to inclusive; kernels before 5.9 lack close_range, there every number up to the
 * limit is tried. */
static void close_numbers(unsigned from, unsigned to)
{
	struct rlimit lim;

	if (from > to || syscall(SYS_close_range, from, to, 0u) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && to >= lim.rlim_cur)
		to = lim.rlim_cur == 0 ? 0 : (unsigned)lim.rlim_cur - 1;
	for (unsigned fd = from; fd <= to; fd++)
		(void)close((int)fd);
}

/* A copy of fd at or above floor: itself when it is there already. */
static int lift_fd(int fd, int floor)
{
	if (fd < floor)
		return fcntl(fd, F_DUPFD_CLOEXEC, floor);
	return fcntl(fd, F_GETFD) < 0 ? -1 : fd;
}

int bf_fds_place(const int *fds, size_t count, int first)
{
	int lifted[BF_FDS_PLACE_MAX];
	int floor;

	if (count > BF_FDS_PLACE_MAX || first < 3)
		return -EINVAL;
	floor = first + (int)count;
	/* All sources leave the target range before the first target is overwritten. */
	for (size_t i = 0; i < count; i++) {
		lifted[i] = lift_fd(fds[i], floor);
		if (lifted[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < count; i++) {
		if (dup2(lifted[i], first + (int)i) < 0)
			return -errno;
	}
	close_numbers(3, (unsigned)first - 1);
	close_numbers((unsigned)floor, UINT32_MAX);
	return 0;
}

static int write_whole(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

int bf_memfd_sealed(const char *name, const void *bytes, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int r;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = write_whole(fd, bytes, len);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS_NEEDED | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

int bf_memfd_map(int fd, const void **ret_bytes, size_t *ret_len, struct bf_err *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *bytes;

	if (seals < 0)
		return bf_err_sys(err, -errno, "memfd %d: not a sealed memfd", fd);
	if ((seals & SEALS_NEEDED) != SEALS_NEEDED)
		return bf_err_set(err, BF_E_STATE,
				  "memfd %d: not sealed against writes and size changes: refused",
				  fd);
	if (fstat(fd, &st) < 0)
		return bf_err_sys(err, -errno, "memfd %d: fstat", fd);
	if (st.st_size == 0) {
		*ret_bytes = "";
		*ret_len = 0;
		return 0;
	}
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return bf_err_sys(err, -errno, "memfd %d: mmap", fd);
	if (madvise(bytes, (size_t)st.st_size, MADV_DONTDUMP) < 0) {
		int r = bf_err_sys(err, -errno, "memfd %d: cannot be kept out of core files", fd);

		(void)munmap(bytes, (size_t)st.st_size);
		return r;
	}
	*ret_bytes = bytes;
	*ret_len = (size_t)st.st_size;
	return 0;
}

void bf_memfd_unmap(const void *bytes, size_t len)
{
	if (len > 0)
		(void)munmap((void *)(uintptr_t)bytes, len);
}
