/*
 * Sealed configuration slices. Made by reload.c and at start, handed to children by child.c. The
 * bytes hold provider keys: they live in memfds and no-dump mappings only, and are never decoded in
 * this process.
 */
#include "supervisor/slices.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/proc/fds.h"
#include "supervisor/plan.h"

void slices_init(struct slices *s)
{
	for (size_t i = 0; i < BF_ROLE_COUNT; i++)
		s->fds[i] = -1;
}

static struct bf_slice bytes_for(const struct bf_bundle *b, uint16_t audience)
{
	switch (audience) {
	case BF_FOR_PROXYD:
		return b->for_proxyd;
	case BF_FOR_CLUSTERD:
		return b->for_clusterd;
	case BF_FOR_DISCOVERYD:
		return b->for_discoveryd;
	case BF_FOR_WRITERD:
		return b->for_writerd;
	default:
		return b->for_supervisor;
	}
}

int slices_seal(struct slices *s, const struct bf_bundle *bundle, struct bf_err *err)
{
	slices_init(s);
	for (size_t i = 0; i < plan_row_count; i++) {
		const struct plan_row *row = &plan_rows[i];
		struct bf_slice bytes = bytes_for(bundle, row->audience);
		int fd = bf_memfd_sealed("bifrost-config", bytes.ptr, bytes.len);

		if (fd < 0) {
			slices_close(s);
			return bf_err_sys(err, fd, "configuration of %s: memfd",
					  bf_role_name(row->role));
		}
		s->fds[row->role] = fd;
	}
	return 0;
}

bool slices_equal(int a, int b)
{
	const void *bytes_a, *bytes_b;
	size_t len_a, len_b;
	bool same = false;

	if (bf_memfd_map(a, &bytes_a, &len_a, NULL) < 0)
		return false;
	if (bf_memfd_map(b, &bytes_b, &len_b, NULL) == 0) {
		same = len_a == len_b && (len_a == 0 || memcmp(bytes_a, bytes_b, len_a) == 0);
		bf_memfd_unmap(bytes_b, len_b);
	}
	bf_memfd_unmap(bytes_a, len_a);
	return same;
}

int slices_dup(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

void slices_close(struct slices *s)
{
	for (size_t i = 0; i < BF_ROLE_COUNT; i++) {
		if (s->fds[i] >= 0)
			(void)close(s->fds[i]);
	}
	slices_init(s);
}
