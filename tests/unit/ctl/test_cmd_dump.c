/* bifrostctl dump: the segment of a node that is down, and files that are none. */
#include "tests/unit/ctl/fake_supervisor.h"

#include <fcntl.h>

#include "shm/segment.h"

static int segment_file(struct fake *f)
{
	char path[280];

	(void)snprintf(path, sizeof(path), "%s/segment", f->dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void test_segment_of_another_boot(void **state)
{
	static const uint8_t boot[16] = "long ago";
	struct fake *f = *state;
	struct stat before, after;
	int fd = segment_file(f);

	assert_int_equal(shm_segment_create(fd, boot, NULL), 0);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(fake_ctl(f, "dump", NULL, NULL, NULL), CTL_OK);
	assert_string_equal(f->err, "");
	assert_true(strlen(f->out) > 50);
	assert_int_equal(fake_ctl(f, "dump", "--json", NULL, NULL), CTL_OK);
	(void)fake_json(f);
	assert_int_equal(fstat(fd, &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	(void)close(fd);
}

static void test_no_segment(void **state)
{
	struct fake *f = *state;

	assert_int_equal(fake_ctl(f, "dump", NULL, NULL, NULL), CTL_NOT_RUNNING);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(f->err, "/segment: there is none"));
}

static void test_files_that_are_no_segment(void **state)
{
	static const size_t sizes[] = {0, 1, 4096, 1 << 20};
	struct fake *f = *state;

	for (size_t i = 0; i < BF_ARRAY_LEN(sizes); i++) {
		int fd = segment_file(f);
		assert_int_equal(ftruncate(fd, (off_t)sizes[i]), 0);
		(void)close(fd);
		assert_int_equal(fake_ctl(f, "dump", NULL, NULL, NULL), CTL_FAILED);
		assert_true(fake_one_line(f->err));
		assert_string_equal(f->out, "");
	}
}

static void test_segment_that_may_not_be_read(void **state)
{
	struct fake *f = *state;
	bool root = geteuid() == 0;
	int fd = segment_file(f);

	assert_int_equal(fchmod(fd, 0), 0);
	(void)close(fd);
	assert_int_equal(chmod(f->dir, 0755), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	int code = fake_ctl(f, "dump", NULL, NULL, NULL);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(code, CTL_FAILED);
	assert_true(fake_one_line(f->err));
	assert_true(fake_says(f->err, "try sudo"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_FAKE(test_segment_of_another_boot),
	    WITH_FAKE(test_no_segment),
	    WITH_FAKE(test_files_that_are_no_segment),
	    WITH_FAKE(test_segment_that_may_not_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
