/* Small no-dump blocks: zeroed, apart from each other, given back; a long random life. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/nodump.h"
#include "common/base/nodump_small.h"

#define BLOCKS 700

static const size_t sizes[] = {0, 1, 511, 512, 513, 1000, 1024, 1025, 2047, 2048};

static bool all_are(const unsigned char *p, size_t n, unsigned char value)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != value)
			return false;
	}
	return true;
}

/* Mappings of this process, by the kernel. */
static unsigned mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned n = 0;
	int ch;

	assert_non_null(f);
	while ((ch = fgetc(f)) != EOF)
		n += ch == '\n';
	(void)fclose(f);
	return n;
}

static void sizes_are_rounded_up(void **state)
{
	static const size_t real[] = {512, 512, 512, 512, 1024, 1024, 1024, 2048, 2048, 2048};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i];
		unsigned char *p = bf_nodump_alloc(&size);
		assert_non_null(p);
		assert_int_equal(size, real[i]);
		assert_int_equal((uintptr_t)p % 512, 0);
		assert_true(all_are(p, size, 0));
		memset(p, 0xaa, size);
		bf_nodump_free(p, size);
	}
	bf_nodump_trim();
}

static void regions_go_back(void **state)
{
	unsigned char *blocks[BLOCKS];
	unsigned before, full;

	(void)state;
	bf_nodump_trim();
	before = mappings();
	for (unsigned i = 0; i < BLOCKS; i++) {
		size_t size = 1024;
		blocks[i] = nodump_small_alloc(&size);
		assert_non_null(blocks[i]);
	}
	full = mappings();
	assert_true(full > before);
	for (unsigned i = 0; i < BLOCKS; i++)
		nodump_small_free(blocks[i], 1024);
	nodump_small_trim();
	assert_true(mappings() <= before + 1); /* neighbours may have been joined or split */
}

struct life {
	unsigned char *p;
	size_t size;
	unsigned char mark;
};

static void begin_life(struct life *l, uint64_t random)
{
	l->size = sizes[random % (sizeof(sizes) / sizeof(sizes[0]))];
	l->p = bf_nodump_alloc(&l->size);
	assert_non_null(l->p);
	assert_true(all_are(l->p, l->size, 0));
	l->mark = (unsigned char)(1 + random % 255);
	memset(l->p, l->mark, l->size);
}

static void end_life(struct life *l)
{
	assert_true(all_are(l->p, l->size, l->mark)); /* nobody else wrote here */
	bf_nodump_free(l->p, l->size);
	l->p = NULL;
}

static void a_long_life(void **state)
{
	static struct life lives[BLOCKS];
	uint64_t random = 88172645463325252;

	(void)state;
	for (unsigned i = 0; i < 60000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		struct life *l = &lives[(random >> 20) % BLOCKS];
		if (l->p)
			end_life(l);
		else
			begin_life(l, random >> 40);
	}
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (lives[i].p)
			end_life(&lives[i]);
	}
	bf_nodump_trim();
}

static void aligned_maps(void **state)
{
	(void)state;
	for (size_t align = 4096; align <= 1u << 20; align *= 2) {
		unsigned char *p = nodump_map(65536, align);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % align, 0);
		assert_true(all_are(p, 65536, 0));
		bf_nodump_free(p, 65536);
	}
	bf_nodump_trim();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_are_rounded_up),
	    cmocka_unit_test(regions_go_back),
	    cmocka_unit_test(a_long_life),
	    cmocka_unit_test(aligned_maps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
