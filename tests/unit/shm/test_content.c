/* Content ring: bounds, wrap at every offset, drops, walking, damage. */
#include "fixture.h"

#include "shm/content.h"

static uint8_t body[SHM_CONTENT_MAX_BYTES + 1];

static void fill(uint8_t *bytes, size_t len, uint64_t n)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(n * 31 + i * 7 + (i >> 8));
}

static int push(struct fixture *f, uint64_t n, size_t len)
{
	uint8_t id[16] = {0};

	memcpy(id, &n, sizeof(n));
	fill(body, len, n);
	return shm_content_push(&f->seg, f->p, id,
				n % 2 ? SHM_CONTENT_REQUEST : SHM_CONTENT_RESPONSE, body, len);
}

static void check(const struct shm_content *c, uint64_t n, size_t len)
{
	uint64_t id;

	memcpy(&id, c->id, sizeof(id));
	assert_int_equal(id, n);
	assert_int_equal(c->len, len);
	assert_int_equal(c->kind, n % 2 ? SHM_CONTENT_REQUEST : SHM_CONTENT_RESPONSE);
	fill(body, len, n);
	assert_memory_equal(c->bytes, body, len);
}

static void empty_and_zero_length(void **state)
{
	struct fixture *f = *state;
	struct shm_content c;

	assert_int_equal(shm_content_next(&f->seg, f->p, 0, &c), 0);
	assert_int_equal(push(f, 1, 0), 0);
	assert_int_equal(shm_content_waiting_bytes(&f->seg, f->p), 64);
	assert_int_equal(shm_content_next(&f->seg, f->p, 0, &c), 1);
	check(&c, 1, 0);
	assert_int_equal(shm_content_next(&f->seg, f->p, c.end, &c), 0);
	shm_content_release(&f->seg, f->p, c.end);
	assert_int_equal(shm_content_next(&f->seg, f->p, 0, &c), 0);
	shm_content_release(&f->seg, f->p, c.end); /* twice: nothing */
	shm_content_release(&f->seg, f->p, c.end + 64);
	assert_int_equal(shm_content_waiting_bytes(&f->seg, f->p), 0);
}

static void full_drops_and_counts(void **state)
{
	struct fixture *f = *state;
	struct shm_content c = {.end = 0};
	uint64_t n = 0;

	assert_int_equal(push(f, 99, SHM_CONTENT_MAX_BYTES + 1), BF_E_FULL);
	assert_int_equal(shm_content_dropped(&f->seg, f->p), 1);
	while (push(f, n, SHM_CONTENT_MAX_BYTES) == 0)
		n++;
	assert_int_equal(n, 3); /* four do not fit with their headers */
	assert_int_equal(shm_content_dropped(&f->seg, f->p), 2);
	while (push(f, n, 64 - n % 64) == 0)
		n++;
	assert_true(shm_content_waiting_bytes(&f->seg, f->p) <= SHM_CONTENT_RING_BYTES);
	assert_true(shm_content_waiting_bytes(&f->seg, f->p) > SHM_CONTENT_RING_BYTES - 192);
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(shm_content_next(&f->seg, f->p, c.end, &c), 1);
		check(&c, i, i < 3 ? SHM_CONTENT_MAX_BYTES : 64 - i % 64);
	}
	shm_content_release(&f->seg, f->p, c.end);
	assert_int_equal(shm_segment_valid(&f->seg, NULL), 0);
}

/* Every length of the last line before the ring's end, so that the marker stands at every possible
 * place. */
static void wrap_at_every_offset(void **state)
{
	struct fixture *f = *state;
	struct shm_content c;
	uint64_t n = 0, turns = 0;
	size_t lens[] = {0, 1, 63, 64, 65, 127, 4096, 70000, SHM_CONTENT_MAX_BYTES};

	for (int i = 0; i < 3000; i++) {
		size_t len = lens[i % 9] + (size_t)(i % 8 == 7 ? i : 0);

		if (len > SHM_CONTENT_MAX_BYTES)
			len = SHM_CONTENT_MAX_BYTES;
		assert_int_equal(push(f, n, len), 0);
		assert_int_equal(shm_content_next(&f->seg, f->p, 0, &c), 1);
		check(&c, n++, len);
		turns = c.end / SHM_CONTENT_RING_BYTES;
		shm_content_release(&f->seg, f->p, c.end);
	}
	assert_true(turns > 50);
}

static void several_wait_across_the_wrap(void **state)
{
	struct fixture *f = *state;
	struct shm_content c = {.end = 0};
	uint64_t pushed = 0, got = 0;

	for (int round = 0; round < 60; round++) {
		while (push(f, pushed, (size_t)(pushed * 7919 % 300000)) == 0)
			pushed++;
		c.end = 0;
		for (int k = 0; k < 7 && shm_content_next(&f->seg, f->p, c.end, &c) == 1; k++) {
			check(&c, got, (size_t)(got * 7919 % 300000));
			got++;
		}
		shm_content_release(&f->seg, f->p, c.end);
	}
	assert_true(c.end > 5 * SHM_CONTENT_RING_BYTES);
}

static void damage_drops_what_cannot_be_walked(void **state)
{
	struct fixture *f = *state;
	uint8_t *ring = f->seg.map->stores[f->p].content;
	struct shm_content c;

	for (uint32_t byte = 0; byte < 8; byte++) {
		uint64_t first, second;

		assert_int_equal(push(f, 1, 100), 0);
		assert_int_equal(push(f, 2, 100), 0);
		assert_int_equal(shm_content_next(&f->seg, f->p, 0, &c), 1);
		first = c.end - 64 - 128;
		second = c.end;
		ring[second % SHM_CONTENT_RING_BYTES + byte] ^= 0x80; /* kind, then len */
		assert_int_equal(shm_content_next(&f->seg, f->p, second, &c), 0);
		assert_true(shm_content_waiting_bytes(&f->seg, f->p) >
			    0); /* the first is still ours */
		shm_content_release(&f->seg, f->p, second);
		assert_int_equal(shm_content_next(&f->seg, f->p, 0, &c), 0);
		assert_int_equal(shm_content_waiting_bytes(&f->seg, f->p), 0);
		assert_true(first < second);
	}
	assert_int_equal(f->seg.map->desks[f->p].content.damaged, 8); /* mo: one thread here */
}

static void wild_words_do_not_leave_the_ring(void **state)
{
	struct fixture *f = *state;
	struct shm_ring *ctl = &f->seg.map->desks[f->p].content;
	const uint64_t wild[] = {UINT64_MAX, UINT64_MAX / 2, 1ull << 40, 12345, 63};
	struct shm_content c;

	for (size_t i = 0; i < 5; i++) {
		ctl->head = 0;       /* mo: one thread here */
		ctl->tail = wild[i]; /* mo: one thread here */
		assert_int_equal(shm_content_next(&f->seg, f->p, 0, &c), 0);
		ctl->tail = 64;      /* mo: one thread here */
		ctl->head = wild[i]; /* mo: one thread here */
		assert_int_equal(shm_content_next(&f->seg, f->p, 0, &c), 0);
		shm_content_release(&f->seg, f->p, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(empty_and_zero_length),
	    FIXTURE_TEST(full_drops_and_counts),
	    FIXTURE_TEST(wrap_at_every_offset),
	    FIXTURE_TEST(several_wait_across_the_wrap),
	    FIXTURE_TEST(damage_drops_what_cannot_be_walked),
	    FIXTURE_TEST(wild_words_do_not_leave_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
