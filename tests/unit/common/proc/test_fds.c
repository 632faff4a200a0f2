/* Placing descriptors for exec, and sealed memfds. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/proc/fds.h"
#include "tests/support/forked.h"
#include "tests/support/smaps.h"

#define COUNT  4
#define LOWEST 3
#define SPAN   7 /* sources lie in 3..9 */

struct placing {
	int at[COUNT]; /* where the sources lie */
	int first;
};

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* A memfd that holds one byte. */
static int marked(char mark)
{
	int fd = memfd_create("mark", MFD_CLOEXEC);

	return fd >= 0 && pwrite(fd, &mark, 1, 0) == 1 ? fd : -1;
}

static char mark_of(int fd)
{
	char c = '?';

	return pread(fd, &c, 1, 0) == 1 ? c : '?';
}

static bool spread(const struct placing *p)
{
	int high[COUNT];

	for (int i = 0; i < COUNT; i++) {
		int fd = marked((char)('a' + i));

		high[i] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		(void)close(fd);
	}
	for (int i = 0; i < COUNT; i++) {
		if (dup3(high[i], p->at[i], O_CLOEXEC) < 0)
			return false;
		(void)close(high[i]);
	}
	return true;
}

static int place_and_look(const void *arg)
{
	const struct placing *p = arg;

	if (close_range(3, UINT32_MAX, 0) < 0 || !spread(p))
		return 1;
	if (bf_fds_place(p->at, COUNT, p->first) != 0)
		return 2;
	for (int i = 0; i < COUNT; i++) {
		int flags = fcntl(p->first + i, F_GETFD);

		if (flags < 0 || (flags & FD_CLOEXEC) || mark_of(p->first + i) != 'a' + i)
			return 10 + i;
	}
	for (int fd = 3; fd < 110; fd++) {
		if ((fd < p->first || fd >= p->first + COUNT) && is_open(fd))
			return 20;
	}
	for (int fd = 0; fd < 3; fd++) {
		if (!is_open(fd))
			return 30 + fd;
	}
	return 0;
}

/* Every way in which four sources can lie in, around and across the target range, for two ranges.
 */
static void every_overlap(void **state)
{
	struct placing p;
	int tried = 0;

	(void)state;
	for (int n = 0; n < SPAN * SPAN * SPAN * SPAN; n++) {
		uint32_t used = 0;
		int rest = n;

		for (int i = 0; i < COUNT; i++, rest /= SPAN) {
			p.at[i] = LOWEST + rest % SPAN;
			used |= 1u << p.at[i];
		}
		if (__builtin_popcount(used) != COUNT)
			continue;
		p.first = tried++ % 2 == 0 ? 3 : 5;
		assert_int_equal(run_forked(place_and_look, &p), 0);
	}
	assert_int_equal(tried, 7 * 6 * 5 * 4);
}

static int one_twice(const void *arg)
{
	int fds[3];

	(void)arg;
	fds[0] = fds[2] = marked('x');
	fds[1] = marked('y');
	if (bf_fds_place(fds, 3, 3) != 0)
		return 1;
	return mark_of(3) == 'x' && mark_of(4) == 'y' && mark_of(5) == 'x' && !is_open(6) ? 0 : 2;
}

static void one_descriptor_at_two_places(void **state)
{
	(void)state;
	assert_int_equal(run_forked(one_twice, NULL), 0);
}

static int none_at_all(const void *arg)
{
	(void)arg;
	if (marked('x') < 0 || bf_fds_place(NULL, 0, 3) != 0)
		return 1;
	return is_open(3) || !is_open(2);
}

static void an_empty_list_closes_everything(void **state)
{
	(void)state;
	assert_int_equal(run_forked(none_at_all, NULL), 0);
}

static int bad_source(const void *arg)
{
	int fds[2] = {marked('x'), *(const int *)arg};

	return bf_fds_place(fds, 2, 3) == -EBADF ? 0 : 1;
}

static int no_room(const void *arg)
{
	struct rlimit few = {8, 8};
	int fds[4] = {0, 1, 2, 0};

	(void)arg;
	if (setrlimit(RLIMIT_NOFILE, &few) < 0)
		return 1;
	return bf_fds_place(fds, 4, 3) == -EMFILE ? 0 : 2;
}

static void bad_lists(void **state)
{
	static int many[BF_FDS_PLACE_MAX + 1];
	const int closed_low = 99, closed_high = 5000, negative = -1;

	(void)state;
	assert_int_equal(run_forked(bad_source, &closed_low), 0);
	assert_int_equal(run_forked(bad_source, &closed_high), 0);
	assert_int_equal(run_forked(bad_source, &negative), 0);
	assert_int_equal(run_forked(no_room, NULL), 0);
	assert_int_equal(bf_fds_place(many, BF_FDS_PLACE_MAX + 1, 3), -EINVAL);
	assert_int_equal(bf_fds_place(many, 1, 2), -EINVAL);
}

static void sealed_bytes_come_back(void **state)
{
	static char big[100000];
	const void *bytes;
	size_t len;
	int fd;

	(void)state;
	memset(big, 'b', sizeof(big));
	fd = bf_memfd_sealed("test", big, sizeof(big));
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(bf_memfd_map(fd, &bytes, &len, NULL), 0);
	assert_int_equal(len, sizeof(big));
	assert_memory_equal(bytes, big, sizeof(big));
	assert_true(mapping_has_flag(bytes, "dd"));
	assert_false(mapping_has_flag(big, "dd"));
	bf_memfd_unmap(bytes, len);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(ftruncate(fd, 200000), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, 0), -1);
	assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	(void)close(fd);
}

static void sealed_nothing_is_nothing(void **state)
{
	const void *bytes = NULL;
	size_t len = 7;
	int fd = bf_memfd_sealed("empty", "", 0);

	(void)state;
	assert_int_equal(bf_memfd_map(fd, &bytes, &len, NULL), 0);
	assert_non_null(bytes);
	assert_int_equal(len, 0);
	bf_memfd_unmap(bytes, len);
	(void)close(fd);
}

/* Each missing seal lets the sender change bytes under the reader. */
static void unsealed_is_refused(void **state)
{
	static const int sets[] = {0, F_SEAL_WRITE, F_SEAL_WRITE | F_SEAL_GROW,
				   F_SEAL_WRITE | F_SEAL_SHRINK,
				   F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL};
	const void *bytes;
	size_t len;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(sets); i++) {
		int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		struct bf_err err = {0};

		assert_int_equal(write(fd, "secret", 6), 6);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, sets[i]), 0);
		assert_int_equal(bf_memfd_map(fd, &bytes, &len, &err), BF_E_STATE);
		assert_non_null(strstr(err.text, "sealed"));
		(void)close(fd);
	}
}

static void what_is_no_memfd_is_refused(void **state)
{
	const void *bytes;
	size_t len;
	int p[2];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_true(bf_memfd_map(p[0], &bytes, &len, NULL) < 0);
	assert_true(bf_memfd_map(null, &bytes, &len, NULL) < 0);
	assert_int_equal(bf_memfd_map(-1, &bytes, &len, NULL), -EBADF);
	(void)close(p[0]);
	(void)close(p[1]);
	(void)close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_overlap),
	    cmocka_unit_test(one_descriptor_at_two_places),
	    cmocka_unit_test(an_empty_list_closes_everything),
	    cmocka_unit_test(bad_lists),
	    cmocka_unit_test(sealed_bytes_come_back),
	    cmocka_unit_test(sealed_nothing_is_nothing),
	    cmocka_unit_test(unsealed_is_refused),
	    cmocka_unit_test(what_is_no_memfd_is_refused),
	};

	return cmocka_run_group_tests_name("common/proc/fds", tests, NULL, NULL);
}
