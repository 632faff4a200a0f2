/* No-dump pages: the kernel's own flag, wiping before the memory goes back, and mmap or madvise
 * failing. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/nodump.h"

static bool fail_mmap, fail_madvise;
static unsigned long mapped, unmapped, dirty;

/* With 64-bit file offsets the C library's mmap is called mmap64; either name may be the one that
 * is linked. */
void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
int __real_madvise(void *addr, size_t len, int advice);
int __wrap_madvise(void *addr, size_t len, int advice);
int __real_munmap(void *addr, size_t len);
int __wrap_munmap(void *addr, size_t len);

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (fail_mmap) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	mapped++;
	return __real_mmap(addr, len, prot, flags, fd, off);
}

void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return __wrap_mmap(addr, len, prot, flags, fd, off);
}

int __wrap_madvise(void *addr, size_t len, int advice)
{
	if (fail_madvise) {
		errno = EINVAL;
		return -1;
	}
	return __real_madvise(addr, len, advice);
}

/* What goes back to the kernel must hold nothing any more. An arena's chunk keeps its head of
 * numbers. */
int __wrap_munmap(void *addr, size_t len)
{
	const char *p = addr;

	unmapped++;
	for (size_t i = 0; i < len; i++)
		if (p[i]) {
			dirty++;
			break;
		}
	return __real_munmap(addr, len);
}

/* Whether the mapping of p carries VM_DONTDUMP ("dd") in /proc/self/smaps. */
static bool is_nodump(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	bool inside = false, found = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		uintptr_t from, to;
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			inside = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, " dd") != NULL;
	}
	(void)fclose(f);
	return found;
}

static int reset_counts(void **state)
{
	(void)state;
	bf_nodump_trim();
	fail_mmap = fail_madvise = false;
	mapped = 0;
	unmapped = dirty = 0;
	return 0;
}

static void test_pages_are_flagged_and_wiped(void **state)
{
	size_t size = 5000;

	(void)state;
	char *p = bf_nodump_alloc(&size);
	assert_non_null(p);
	assert_true(size >= 5000 && size % 4096 == 0);
	assert_true(is_nodump(p));
	memset(p, 's', size);
	bf_nodump_free(p, size);
	bf_nodump_free(NULL, 0);
	bf_nodump_trim();
	assert_int_equal(unmapped, 1);
	assert_int_equal(dirty, 0);
}

static void test_sizes_at_the_edges(void **state)
{
	size_t size = 0;

	(void)state;
	char *p = bf_nodump_alloc(&size);
	assert_non_null(p);
	assert_true(size > 0);
	bf_nodump_free(p, size);
	size = SIZE_MAX;
	assert_null(bf_nodump_alloc(&size));
	assert_true(size == SIZE_MAX);
}

static void test_a_page_that_would_be_dumped_is_refused(void **state)
{
	size_t size = 100;

	(void)state;
	fail_madvise = true;
	assert_null(bf_nodump_alloc(&size));
	assert_int_equal(unmapped, 1);
	fail_madvise = false;
	fail_mmap = true;
	assert_null(bf_nodump_alloc(&size));
}

static void test_buffer_growth_wipes(void **state)
{
	struct bf_buf b;

	(void)state;
	bf_buf_init_nodump(&b, 1 << 20);
	for (int i = 0; i < 40000; i++)
		assert_int_equal(bf_buf_append(&b, "secret", 6), 0);
	assert_true(is_nodump(b.data));
	assert_memory_equal(b.data + 6 * 39999, "secret", 6);
	bf_buf_done(&b);
	bf_nodump_trim();
	assert_int_equal(dirty, 0);
}

static void test_buffer_keeps_its_bytes_when_it_cannot_grow(void **state)
{
	struct bf_buf b;
	char big[8192] = {0};

	(void)state;
	bf_buf_init_nodump(&b, 1 << 20);
	assert_int_equal(bf_buf_append(&b, "abc", 3), 0);
	fail_mmap = true;
	assert_int_equal(bf_buf_append(&b, big, sizeof(big)), -ENOMEM);
	assert_int_equal(bf_buf_len(&b), 3);
	assert_memory_equal(b.data, "abc", 3);
	bf_buf_done(&b);
}

static void test_arena_wipes(void **state)
{
	struct bf_arena a;

	(void)state;
	bf_arena_init_nodump(&a, 1 << 20);
	for (int i = 0; i < 300; i++) {
		char *p = bf_arena_alloc(&a, 1000);
		assert_non_null(p);
		memset(p, 's', 1000);
#ifndef BF_ARENA_MALLOC
		assert_true(i % 50 || is_nodump(p));
#endif
	}
	bf_arena_reset(&a);
	bf_arena_done(&a);
	bf_nodump_trim();
	assert_int_equal(dirty, 0);
	assert_int_equal(unmapped, mapped);
}

/* A request's life after the other: only the first one asks the kernel, and each finds zeroed
 * pages. */
static void test_blocks_are_reused_wiped(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		size_t size = 4096, large = 20000;
		char *p = bf_nodump_alloc(&size), *q = bf_nodump_alloc(&large);
		assert_non_null(p);
		assert_non_null(q);
		for (size_t k = 0; k < size; k++)
			assert_int_equal(p[k], 0);
		for (size_t k = 0; k < large; k++)
			assert_int_equal(q[k], 0);
		assert_true(is_nodump(p) && is_nodump(q));
		memset(p, 's', size);
		memset(q, 's', large);
		bf_nodump_free(p, size);
		bf_nodump_free(q, large);
	}
	assert_int_equal(mapped, 2);
}

/* What is kept has a bound in number, in size and in all. */
static void test_kept_blocks_are_bounded(void **state)
{
	void *blocks[100];
	size_t size = 4096;

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		blocks[i] = bf_nodump_alloc(&size);
		assert_non_null(blocks[i]);
	}
	for (size_t i = 0; i < 100; i++)
		bf_nodump_free(blocks[i], size);
	assert_int_equal(unmapped, 100 - 32);
	bf_nodump_trim();
	assert_int_equal(unmapped, 100);
	size = 1 << 20;
	void *large = bf_nodump_alloc(&size);
	bf_nodump_free(large, size);
	assert_int_equal(unmapped, 101);
	/* Of the largest that are kept, as many as the total allows, and after they went again. */
	size = (size_t)512 * 1024;
	for (int again = 0; again < 2; again++) {
		unmapped = 0;
		for (size_t i = 0; i < 10; i++) {
			blocks[i] = bf_nodump_alloc(&size);
			assert_non_null(blocks[i]);
			memset(blocks[i], 's', size);
		}
		for (size_t i = 0; i < 10; i++)
			bf_nodump_free(blocks[i], size);
		assert_int_equal(unmapped, 10 - 4);
	}
	bf_nodump_trim();
	assert_int_equal(unmapped, 10);
	assert_int_equal(dirty, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_pages_are_flagged_and_wiped, reset_counts),
	    cmocka_unit_test_setup(test_sizes_at_the_edges, reset_counts),
	    cmocka_unit_test_setup(test_a_page_that_would_be_dumped_is_refused, reset_counts),
	    cmocka_unit_test_setup(test_buffer_growth_wipes, reset_counts),
	    cmocka_unit_test_setup(test_buffer_keeps_its_bytes_when_it_cannot_grow, reset_counts),
	    cmocka_unit_test_setup(test_arena_wipes, reset_counts),
	    cmocka_unit_test_setup(test_blocks_are_reused_wiped, reset_counts),
	    cmocka_unit_test_setup(test_kept_blocks_are_bounded, reset_counts),
	};

	return cmocka_run_group_tests(tests, NULL, reset_counts);
}
