/* Doorbell: rung once per sleep, never when awake, and never silenced by a slow producer of an
 * earlier sleep. */
#include "fixture.h"

#include <sys/eventfd.h>

#include "shm/doorbell.h"

static uint64_t rings(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

static void once_per_sleep(void **state)
{
	struct fixture *f = *state;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	shm_doorbell_ring(&f->seg, fd);
	assert_int_equal(rings(fd), 0); /* awake */
	for (int i = 0; i < 3; i++) {
		shm_doorbell_sleeping(&f->seg, true);
		shm_doorbell_ring(&f->seg, fd);
		shm_doorbell_ring(&f->seg, fd);
		assert_int_equal(rings(fd), 1);
		shm_doorbell_sleeping(&f->seg, false);
		shm_doorbell_ring(&f->seg, fd);
		assert_int_equal(rings(fd), 0);
	}
	shm_doorbell_sleeping(&f->seg, true);
	shm_doorbell_sleeping(&f->seg, false);
	shm_doorbell_sleeping(&f->seg, false);
	shm_doorbell_ring(&f->seg, fd);
	assert_int_equal(rings(fd), 0);
	(void)close(fd);
}

/* writerd killed asleep: its successor's sleep is another one, and it is rung for. */
static void successor_of_a_sleeper(void **state)
{
	struct fixture *f = *state;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t before, after;

	shm_doorbell_sleeping(&f->seg, true);
	before = f->seg.map->header.doorbell; /* mo: one thread here */
	shm_doorbell_sleeping(&f->seg, true);
	after = f->seg.map->header.doorbell; /* mo: one thread here */
	assert_int_equal(after,
			 before + 2); /* a producer that saw `before` can not end this sleep */
	shm_doorbell_ring(&f->seg, fd);
	assert_int_equal(rings(fd), 1);
	(void)close(fd);
}

static void a_full_or_closed_bell_does_no_harm(void **state)
{
	struct fixture *f = *state;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t top = UINT64_MAX - 1;

	assert_int_equal(write(fd, &top, sizeof(top)), sizeof(top));
	shm_doorbell_sleeping(&f->seg, true);
	shm_doorbell_ring(&f->seg, fd);
	assert_true(rings(fd) > 0);
	shm_doorbell_sleeping(&f->seg, true);
	shm_doorbell_ring(&f->seg, -1);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(once_per_sleep),
	    FIXTURE_TEST(successor_of_a_sleeper),
	    FIXTURE_TEST(a_full_or_closed_bell_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
