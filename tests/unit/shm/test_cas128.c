/* 16-byte words: the swap compares and moves all of them, reading works on a read-only map, no
 * libatomic is linked. */
#include "fixture.h"

#include <dlfcn.h>
#include <pthread.h>

#include "shm/cas128.h"

#define THREADS 3
#define ROUNDS  20000

static void every_bit_counts(void **state)
{
	struct shm_u128 w = {.lo = 0};
	struct shm_pair seen = {0, 0};

	(void)state;
	for (int bit = 0; bit < 128; bit++) {
		struct shm_pair wrong, next = {bit < 64 ? UINT64_C(1) << bit : 0,
					       bit < 64 ? 0 : UINT64_C(1) << (bit - 64)};

		assert_true(shm_cas128(&w, &seen, next));
		seen = shm_load128(&w);
		assert_int_equal(seen.lo, next.lo);
		assert_int_equal(seen.hi, next.hi);
		for (int other = 0; other < 128; other++) {
			wrong = next;
			if (other < 64)
				wrong.lo ^= UINT64_C(1) << other;
			else
				wrong.hi ^= UINT64_C(1) << (other - 64);
			assert_false(shm_cas128(&w, &wrong, (struct shm_pair){7, 7}));
			assert_int_equal(wrong.lo, next.lo); /* what it found */
			assert_int_equal(wrong.hi, next.hi);
		}
	}
}

static void read_only_map(void **state)
{
	int fd = memfd_create("word", MFD_CLOEXEC);
	struct shm_u128 *w, *ro;
	struct shm_pair zero = {0, 0}, got;

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ro = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(w != MAP_FAILED && ro != MAP_FAILED);
	assert_true(shm_cas128(w, &zero, (struct shm_pair){1, 2}));
	assert_true(shm_load128_whole(ro, &got));
	assert_int_equal(got.lo, 1);
	assert_int_equal(got.hi, 2);
	(void)munmap(w, 4096);
	(void)munmap(ro, 4096);
	(void)close(fd);
}

struct shared {
	struct shm_u128 word;
	_Atomic int torn;
};

/* hi counts swaps, lo is three times hi: a torn pair that passes the second look would show. */
static void *swapper(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct shm_pair v = shm_load128(&s->word);

		while (!shm_cas128(&s->word, &v, (struct shm_pair){(v.hi + 1) * 3, v.hi + 1}))
			;
		if (shm_load128_whole(&s->word, &v) && v.lo != v.hi * 3)
			s->torn++;
	}
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	static struct shared s;
	pthread_t t[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, swapper, &s), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(shm_load128(&s.word).hi, THREADS * ROUNDS);
	assert_int_equal(shm_load128(&s.word).lo, THREADS * ROUNDS * 3);
	assert_int_equal(s.torn, 0);
}

static void no_libatomic(void **state)
{
	(void)state;
	assert_null(dlopen("libatomic.so.1", RTLD_LAZY | RTLD_NOLOAD));
	assert_null(dlsym(RTLD_DEFAULT, "__atomic_compare_exchange_16"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_bit_counts),
	    cmocka_unit_test(read_only_map),
	    cmocka_unit_test(threads_lose_nothing),
	    cmocka_unit_test(no_libatomic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
