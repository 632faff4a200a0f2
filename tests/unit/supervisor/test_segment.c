/* Opening the segment: what is done about each kind of file that may lie there. Also: process
 * slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "world.h"

static const uint8_t boot[16] = {1, 2, 3}, other_boot[16] = {9};
static struct folders f;
static struct owner self;
static struct segment s;
static struct bf_err err;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	memset(&s, 0, sizeof(s));
	s.fd = f.lock_fd = -1;
	err.text[0] = '\0';
	make_folder(f.runtime, sizeof(f.runtime));
	(void)snprintf(f.state, sizeof(f.state), "%s", f.runtime);
	assert_int_equal(owner_find(NULL, &self, NULL), 0);
	return folder_prepare(&f, &self, NULL);
}

static int teardown(void **state)
{
	(void)state;
	segment_close(&s);
	folder_close(&f);
	remove_folder(f.runtime);
	return 0;
}

static int open_it(const uint8_t *boot_id)
{
	segment_close(&s);
	return segment_open(&s, &f, &self, boot_id, &err);
}

static bool exists(const char *name)
{
	return faccessat(f.runtime_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void put(const char *name, const char *bytes, size_t len)
{
	int fd = openat(f.runtime_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, bytes, len), len);
	(void)close(fd);
}

static void test_decisions(void **state)
{
	(void)state;
	assert_int_equal(segment_decide(0), SEGMENT_TAKE_OVER);
	assert_int_equal(segment_decide(BF_E_STATE), SEGMENT_SET_ASIDE);
	assert_int_equal(segment_decide(BF_E_CORRUPT), SEGMENT_SET_ASIDE);
	assert_int_equal(segment_decide(BF_E_VERSION), SEGMENT_REFUSE);
	assert_int_equal(segment_decide(BF_E_DENIED), SEGMENT_REFUSE);
	assert_int_equal(segment_decide(-EIO), SEGMENT_REFUSE);
	assert_int_equal(segment_decide(-ENOMEM), SEGMENT_REFUSE);
}

static void test_new_then_taken_over(void **state)
{
	struct stat st;
	int slot;

	(void)state;
	assert_int_equal(open_it(boot), 0);
	assert_false(s.taken_over);
	assert_int_equal(fstat(s.fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_false(exists("segment.new"));
	slot = shm_slot_assign(&s.shm, BF_ROLE_PROXYD, 5);
	assert_int_equal(open_it(boot), 0);
	assert_true(s.taken_over);
	assert_string_equal(s.note, "");
	assert_int_equal(identity_count(&s.shm, SHM_SLOT_ASSIGNED), 1);
	assert_int_equal(slot, 0);
}

static void test_another_boot_is_set_aside(void **state)
{
	(void)state;
	assert_int_equal(open_it(other_boot), 0);
	assert_int_equal(open_it(boot), 0);
	assert_false(s.taken_over);
	assert_non_null(strstr(s.note, "another boot"));
	assert_true(exists("segment.old-1"));
	/* Nothing that was set aside before is lost. */
	assert_int_equal(open_it(other_boot), 0);
	assert_true(exists("segment.old-1") && exists("segment.old-2"));
}

static void test_set_aside_is_bounded(void **state)
{
	(void)state;
	for (int i = 0; i <= SEGMENT_MAX_OLD; i++)
		assert_int_equal(open_it(i % 2 ? boot : other_boot), 0);
	assert_int_equal(open_it(other_boot), 0);
	assert_true(s.taken_over);
	assert_int_equal(open_it(boot), BF_E_FULL);
	assert_non_null(strstr(err.text, "remove"));
	assert_true(exists("segment"));
}

static void test_foreign_file_is_refused_untouched(void **state)
{
	char bytes[8192];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	put("segment", bytes, sizeof(bytes));
	assert_int_equal(open_it(boot), BF_E_VERSION);
	assert_non_null(strstr(err.text, "segment"));
	assert_false(exists("segment.old-1"));
}

static void test_damaged_is_set_aside(void **state)
{
	static const size_t cuts[] = {0, 1, 64, 4095, 4096, 100000};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cuts); i++) {
		char name[32];

		assert_int_equal(open_it(boot), 0);
		assert_int_equal(ftruncate(s.fd, (off_t)cuts[i]), 0);
		/* The mapping of a cut file must not be touched again. */
		assert_int_equal(open_it(boot), 0);
		assert_false(s.taken_over);
		assert_non_null(strstr(s.note, "damaged"));
		(void)snprintf(name, sizeof(name), "segment.old-%zu", i + 1);
		assert_true(exists(name));
	}
}

static void test_links_and_foreign_owners(void **state)
{
	(void)state;
	assert_int_equal(open_it(boot), 0);
	assert_int_equal(renameat(f.runtime_fd, "segment", f.runtime_fd, "real"), 0);
	assert_int_equal(symlinkat("real", f.runtime_fd, "segment"), 0);
	assert_int_equal(open_it(boot), -ELOOP);
	assert_int_equal(unlinkat(f.runtime_fd, "segment", 0), 0);
	assert_int_equal(renameat(f.runtime_fd, "real", f.runtime_fd, "segment"), 0);
	assert_int_equal(fchmodat(f.runtime_fd, "segment", 0644, 0), 0);
	assert_int_equal(open_it(boot), BF_E_DENIED);
	assert_int_equal(unlinkat(f.runtime_fd, "segment", 0), 0);
	assert_int_equal(mkdirat(f.runtime_fd, "segment", 0700), 0);
	assert_true(open_it(boot) < 0);
}

static void test_boot_id(void **state)
{
	uint8_t a[16] = {0}, b[16] = {0}, zero[16] = {0};

	(void)state;
	assert_int_equal(segment_boot_id(a, &err), 0);
	assert_int_equal(segment_boot_id(b, &err), 0);
	assert_memory_equal(a, b, 16);
	assert_memory_not_equal(a, zero, 16);
}

/* ------------------------------------------------------------------ identity */

static void test_recovery_declares_everybody_dead(void **state)
{
	int own, worker, live, writer;

	(void)state;
	assert_int_equal(open_it(boot), 0);
	own = identity_own(&s.shm);
	worker = identity_assign(&s.shm, plan_of(BF_ROLE_PROXYD), 0);
	live = identity_assign(&s.shm, plan_of(BF_ROLE_PROXYD), 1);
	writer = identity_assign(&s.shm, plan_of(BF_ROLE_WRITERD), 0);
	assert_true(own >= 0 && worker >= 0 && live >= 0 && writer >= 0);
	assert_int_equal(shm_slot_enter(&s.shm, (uint32_t)live, 77, 1, 1), 0);
	/* Workers' slots wait for the writer; the others are free. */
	assert_int_equal(identity_recover(&s.shm), 2);
	assert_int_equal(identity_count(&s.shm, SHM_SLOT_DEAD), 2);
	assert_int_equal(identity_count(&s.shm, SHM_SLOT_FREE), SHM_PROC_SLOTS - 2);
	assert_int_equal(identity_recover(&s.shm), 2);
}

static void test_workers_leave_a_reserve(void **state)
{
	uint32_t n = 0;

	(void)state;
	assert_int_equal(open_it(boot), 0);
	while (identity_assign(&s.shm, plan_of(BF_ROLE_PROXYD), n) >= 0)
		n++;
	assert_int_equal(n, SHM_PROC_SLOTS - IDENTITY_RESERVE);
	assert_true(identity_assign(&s.shm, plan_of(BF_ROLE_WRITERD), 0) >= 0);
	assert_true(identity_own(&s.shm) >= 0);
	identity_dead(&s.shm, 0, plan_of(BF_ROLE_PROXYD));
	assert_int_equal(identity_count(&s.shm, SHM_SLOT_DEAD), 1);
	identity_dead(&s.shm, 1, NULL);
	assert_int_equal(identity_count(&s.shm, SHM_SLOT_DEAD), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_decisions),
	    cmocka_unit_test_setup_teardown(test_new_then_taken_over, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_another_boot_is_set_aside, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_set_aside_is_bounded, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_foreign_file_is_refused_untouched, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_damaged_is_set_aside, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_links_and_foreign_owners, setup, teardown),
	    cmocka_unit_test(test_boot_id),
	    cmocka_unit_test_setup_teardown(test_recovery_declares_everybody_dead, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_workers_leave_a_reserve, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
