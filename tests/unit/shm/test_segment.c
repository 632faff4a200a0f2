/* Creating and attaching: every refusal names the file, what is wrong and what to do; memory is
 * sparse. */
#include "fixture.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "shm/content.h"
#include "shm/dump.h"
#include "shm/health.h"
#include "shm/inflight.h"

static void poke(struct fixture *f, size_t offset, const void *bytes, size_t len)
{
	assert_int_equal(pwrite(f->fd, bytes, len, (off_t)offset), (ssize_t)len);
}

static void refused(struct fixture *f, const uint8_t *boot, int code, const char *what,
		    const char *mend)
{
	struct shm_segment seg = {.map = NULL};
	struct bf_err err = {.code = 0};

	assert_int_equal(shm_segment_attach(f->fd, false, boot, &seg, &err), code);
	assert_int_equal(err.code, code);
	assert_null(seg.map);
	assert_non_null(strstr(err.text, "segment"));
	assert_non_null(strstr(err.text, what));
	assert_non_null(strstr(err.text, mend));
	assert_null(strchr(err.text, '\n'));
}

static void attach_again_and_read_only(void **state)
{
	struct fixture *f = *state;
	struct shm_segment rw, ro;
	struct shm_usage_record r = fixture_record(3);

	shm_set_generation(&f->seg, 77);
	shm_set_draining(&f->seg, true);
	assert_int_equal(shm_usage_push(&f->seg, 0, &r), 0);
	assert_int_equal(shm_segment_attach(f->fd, false, NULL, &rw, NULL), 0);
	assert_int_equal(shm_segment_attach(f->fd, true, fixture_boot, &ro, NULL), 0);
	assert_true(ro.read_only);
	assert_int_equal(shm_generation(&ro), 77);
	assert_true(shm_draining(&ro));
	assert_int_equal(shm_usage_waiting(&ro, 0), 1);
	shm_usage_release(&rw, 0, 1);
	assert_int_equal(shm_usage_waiting(&ro, 0), 0);
	shm_segment_detach(&rw);
	shm_segment_detach(&rw);
	shm_segment_detach(&ro);
}

static void foreign_file(void **state)
{
	struct fixture *f = *state;

	poke(f, 0, "#!/bin/sh", 9);
	refused(f, fixture_boot, BF_E_VERSION, "not a bifrost segment", "move it away");
}

static void unfinished_file(void **state)
{
	struct fixture *f = *state;

	poke(f, 0, "\0\0\0\0\0\0\0\0", 8);
	refused(f, fixture_boot, BF_E_CORRUPT, "never finished", "remove the file");
}

static void short_files(void **state)
{
	struct fixture *f = *state;
	const off_t lengths[] = {(off_t)shm_segment_size() - 1, 1 << 20, 4096, 4095, 1, 0};

	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(ftruncate(f->fd, lengths[i]), 0);
		refused(f, fixture_boot, BF_E_CORRUPT, lengths[i] < 4096 ? "too short" : "was cut",
			"remove");
	}
}

static void other_layouts(void **state)
{
	struct fixture *f = *state;
	const uint32_t zero = 0, older = SHM_LAYOUT_VERSION - 1, ours = SHM_LAYOUT_VERSION,
		       newer = SHM_LAYOUT_VERSION + 1, odd = 65;
	const uint64_t size = 4096;

	poke(f, 8, &zero, 4);
	refused(f, fixture_boot, BF_E_VERSION, "segment layout 0, this build needs 5",
		"remove the file");
	poke(f, 8, &older, 4);
	refused(f, fixture_boot, BF_E_VERSION, "segment layout 4, this build needs 5",
		"remove the file");
	poke(f, 8, &newer, 4);
	refused(f, fixture_boot, BF_E_VERSION, "segment layout 6",
		"stop bifrost with the build that made it");
	poke(f, 8, &ours, 4);
	poke(f, 48, &odd, 4);
	refused(f, fixture_boot, BF_E_VERSION, "other sizes", "remove the file");
	poke(f, 16, &size, 8);
	refused(f, fixture_boot, BF_E_VERSION, "other sizes", "remove the file");
}

static void other_boot(void **state)
{
	struct fixture *f = *state;
	const uint8_t boot[16] = "boot-0123456780";

	refused(f, boot, BF_E_STATE, "another boot", "remove the file");
}

static void damaged_structures(void **state)
{
	struct fixture *f = *state;
	const uint64_t wild = 5;

	poke(f, offsetof(struct shm_layout, desks) + offsetof(struct shm_desk, content) + 64, &wild,
	     8);
	refused(f, fixture_boot, BF_E_CORRUPT, "content ring of process slot 0",
		"remove the segment file");
}

static void not_a_file(void **state)
{
	struct fixture pipe_end = {.fd = -1};
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pipe_end.fd = ends[0];
	refused(&pipe_end, NULL, BF_E_CORRUPT, "too short for a segment", "remove the file");
	assert_int_equal(shm_segment_create(ends[0], fixture_boot, NULL), BF_E_STATE);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(shm_segment_create(-1, fixture_boot, NULL), -EBADF);
}

static void create_wants_an_empty_file(void **state)
{
	struct fixture *f = *state;
	struct bf_err err;

	assert_int_equal(shm_segment_create(f->fd, fixture_boot, &err), BF_E_STATE);
	assert_non_null(strstr(err.text, "empty regular file"));
	assert_int_equal(shm_segment_attach(f->fd, true, fixture_boot, &f->seg, NULL), 0);
}

/* What an idle node costs: nothing is read or written that was not used. */
static void idle_is_sparse(void **state)
{
	struct fixture *f = *state;
	struct shm_segment ro;
	struct bf_buf text;
	size_t before = fixture_touched(f);

	assert_true(before <= 65536);
	bf_buf_init(&text, 1 << 20);
	assert_int_equal(shm_segment_attach(f->fd, true, NULL, &ro, NULL), 0);
	assert_int_equal(shm_dump_text(&ro, &text), 0);
	(void)shm_health_all(&ro);
	(void)shm_metric_sum(&ro, SHM_M_INFLIGHT);
	assert_int_equal(fixture_touched(f), before);
	bf_buf_done(&text);
	shm_segment_detach(&ro);
	print_message(
	    "segment: %zu bytes sparse, idle %zu touched, worst case %zu for 1 worker, +%zu each\n",
	    shm_segment_size(), before, shm_segment_worst_case(1),
	    shm_segment_worst_case(2) - shm_segment_worst_case(1));
}

/* Runs in a child with a small tmpfs of its own. Exit code 0: as it should be, 77: not permitted
 * here, else a line. */
static int child_on_a_small_tmpfs(const char *dir, const char *options,
				  int (*body)(int fd, const char *dir))
{
	char path[256];
	int fd;

	if (unshare(CLONE_NEWNS) < 0 && (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0))
		return 77;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("t", dir, "tmpfs", 0, options) < 0)
		return 77;
	(void)snprintf(path, sizeof(path), "%s/segment", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? __LINE__ % 70 : body(fd, dir);
}

static int too_small_for_one(int fd, const char *dir)
{
	struct bf_err err = {.code = 0};

	if (shm_segment_create(fd, fixture_boot, &err) != -ENOSPC)
		return 1;
	return strstr(err.text, dir) && strstr(err.text, "supervisor.runtime_dir") ? 0 : 2;
}

static int fill_the_rest(const char *dir)
{
	static char block[65536];
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/other", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	memset(block, 1, sizeof(block));
	for (size_t size = sizeof(block); size >= 512; size /= 2)
		while (write(fd, block, size) > 0)
			;
	(void)close(fd);
	return unlink(path) == 0 ? 0 : -1;
}

/* Somebody else fills the folder while requests come: they are refused, nobody is killed by SIGBUS.
 */
static int filled_by_others(int fd, const char *dir)
{
	struct shm_segment seg;
	struct shm_usage_record r = fixture_record(1);
	char path[256];
	int other, n = 0, held[64];

	if (shm_segment_create(fd, fixture_boot, NULL) < 0 ||
	    shm_segment_attach(fd, false, NULL, &seg, NULL) < 0 ||
	    shm_slot_assign(&seg, 1, 0) != 0 || shm_slot_enter(&seg, 0, 1, 1, 1) < 0)
		return 1;
	for (; n < 40; n++)
		if ((held[n] = shm_inflight_begin(&seg, 0, &r)) < 0)
			return 2;
	(void)snprintf(path, sizeof(path), "%s/hog", dir);
	other = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (ftruncate(other, 0) == 0 && posix_fallocate(other, 0, 308 << 20) != 0)
		return 3;
	if (fill_the_rest(dir) < 0)
		return 4;
	for (off_t more = 308 << 20; posix_fallocate(other, more, 4096) == 0; more += 4096)
		;
	/* 24 entries are left in the block that was taken; then begin must refuse, and what was
	 * begun can finish. */
	while (n < 64 && (held[n] = shm_inflight_begin(&seg, 0, &r)) >= 0)
		n++;
	if (n != 64 || shm_inflight_begin(&seg, 0, &r) != -1)
		return 5;
	for (int i = 0; i < n; i++)
		shm_inflight_finish(&seg, 0, held[i], &r);
	if (shm_content_push(&seg, 0, r.id, SHM_CONTENT_REQUEST, "x", 1) != BF_E_FULL)
		return 6;
	/* Refused beyond the small ring too, where the overflow would be first touched. */
	n = 0;
	while ((held[0] = shm_inflight_begin(&seg, 0, &r)) >= 0 && n < 5000) {
		shm_inflight_finish(&seg, 0, held[0], &r);
		n++;
	}
	if (n != (int)SHM_USAGE_RING_RECORDS - 64)
		return 7;
	if (ftruncate(other, 0) < 0 || shm_inflight_begin(&seg, 0, &r) < 0)
		return 8;
	return 0;
}

static void run_on_a_small_tmpfs(const char *options, int (*body)(int fd, const char *dir))
{
	char dir[] = "/tmp/bf-shm-XXXXXX";
	int status = 0;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	pid = fork();
	if (pid == 0)
		_exit(child_on_a_small_tmpfs(dir, options, body));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)rmdir(dir);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* no mount namespaces for us here */
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void folder_too_small(void **state)
{
	(void)state;
	run_on_a_small_tmpfs("size=20m", too_small_for_one);
}

static void folder_filled_by_others(void **state)
{
	(void)state;
	run_on_a_small_tmpfs("size=320m", filled_by_others);
}

static void room_for_workers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shm_segment_check_room(f->fd, 64, NULL), 0); /* a memfd has no limit */
	assert_int_equal(shm_segment_check_room(-1, 1, NULL), -EBADF);
	assert_true(shm_segment_worst_case(SHM_PROC_SLOTS) == shm_segment_size());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(attach_again_and_read_only),
	    FIXTURE_TEST(foreign_file),
	    FIXTURE_TEST(unfinished_file),
	    FIXTURE_TEST(short_files),
	    FIXTURE_TEST(other_layouts),
	    FIXTURE_TEST(other_boot),
	    FIXTURE_TEST(damaged_structures),
	    cmocka_unit_test(not_a_file),
	    FIXTURE_TEST(create_wants_an_empty_file),
	    FIXTURE_TEST(idle_is_sparse),
	    cmocka_unit_test(folder_too_small),
	    cmocka_unit_test(folder_filled_by_others),
	    FIXTURE_TEST(room_for_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
