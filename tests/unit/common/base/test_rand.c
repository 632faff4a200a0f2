/* Random bytes and UUIDv7: nothing shared over a fork, order within a process, layout, text both
 * ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/rand.h"

static int64_t ms_of(const struct bf_uuid *id)
{
	int64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id->bytes[i];
	return ms;
}

static void test_bytes_differ_at_every_size(void **state)
{
	uint8_t a[2000], b[2000];

	(void)state;
	for (size_t len = 16; len < sizeof(a) - 1; len = len * 3 / 2) {
		memset(a, 0, sizeof(a));
		memset(b, 0, sizeof(b));
		bf_rand_bytes(a, len);
		bf_rand_bytes(b, len);
		assert_memory_not_equal(a, b, len);
		assert_int_equal(a[len] | b[len], 0);
	}
	bf_rand_bytes(a, 0);
}

static void test_no_block_comes_twice(void **state)
{
	static uint64_t seen[4096];

	(void)state;
	for (size_t i = 0; i < 4096; i++) {
		bf_rand_bytes(&seen[i], sizeof(seen[i]));
		for (size_t k = 0; k < i; k++)
			assert_true(seen[k] != seen[i]);
	}
}

static void test_fork_shares_nothing(void **state)
{
	int fds[2];
	uint8_t mine[64], theirs[64];

	(void)state;
	/* Leaves bytes in the buffer for both sides to take. */
	bf_rand_bytes(mine, 8);
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		bf_rand_bytes(theirs, sizeof(theirs));
		_exit(write(fds[1], theirs, sizeof(theirs)) == (ssize_t)sizeof(theirs) ? 0 : 1);
	}
	bf_rand_bytes(mine, sizeof(mine));
	assert_int_equal(read(fds[0], theirs, sizeof(theirs)), sizeof(theirs));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (size_t i = 0; i + 8 <= sizeof(mine); i += 8)
		for (size_t k = 0; k + 8 <= sizeof(theirs); k++)
			assert_memory_not_equal(mine + i, theirs + k, 8);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void test_uuid_layout(void **state)
{
	(void)state;
	struct bf_uuid id = bf_uuid7(INT64_C(0x017f22e279b0));
	assert_int_equal(ms_of(&id), INT64_C(0x017f22e279b0));
	assert_int_equal(id.bytes[6] >> 4, 7);
	assert_int_equal(id.bytes[8] >> 6, 2);
}

/* 20,000 ids in one millisecond: more than the counter holds, so it borrows, and the order stays.
 */
static void test_uuid_order_within_a_millisecond(void **state)
{
	const int64_t now = INT64_C(1790000000000);
	struct bf_uuid last = bf_uuid7(now);

	(void)state;
	assert_int_equal(ms_of(&last), now);
	for (int i = 0; i < 20000; i++) {
		struct bf_uuid id = bf_uuid7(now);
		assert_true(memcmp(id.bytes, last.bytes, 16) > 0);
		last = id;
	}
	assert_true(ms_of(&last) <= now + 10);
}

static void test_uuid_follows_the_clock(void **state)
{
	const int64_t now = INT64_C(1800000000000);
	struct bf_uuid last = bf_uuid7(now), id;

	(void)state;
	/* A small step back keeps the order; the clock catches up later. */
	for (int back = 1; back <= 10000; back += 999) {
		id = bf_uuid7(now - back);
		assert_true(memcmp(id.bytes, last.bytes, 16) > 0);
		last = id;
	}
	id = bf_uuid7(now + 50);
	assert_int_equal(ms_of(&id), now + 50);
	/* A large one is the clock being set: followed. */
	id = bf_uuid7(now - 3600000);
	assert_int_equal(ms_of(&id), now - 3600000);
	id = bf_uuid7(-5);
	assert_int_equal(ms_of(&id), 0);
}

static void test_uuid_text(void **state)
{
	static const char text[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
	char out[BF_UUID_TEXT_LEN + 1], broken[BF_UUID_TEXT_LEN + 1];
	struct bf_uuid id, other;

	(void)state;
	assert_int_equal(bf_uuid_parse(text, BF_UUID_TEXT_LEN, &id), 0);
	bf_uuid_format(&id, out);
	assert_string_equal(out, text);
	assert_true(bf_uuid_is_set(&id));
	assert_false(bf_uuid_is_set(&(struct bf_uuid){{0}}));
	assert_int_equal(
	    bf_uuid_parse("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", BF_UUID_TEXT_LEN, &other), 0);
	assert_memory_equal(&id, &other, sizeof(id));
	for (size_t len = 0; len < BF_UUID_TEXT_LEN; len++)
		assert_int_equal(bf_uuid_parse(text, len, &id), BF_E_SYNTAX);
	assert_int_equal(bf_uuid_parse(text, BF_UUID_TEXT_LEN + 1, &id), BF_E_SYNTAX);
	for (size_t at = 0; at < BF_UUID_TEXT_LEN; at++) {
		static const char bad[] = "g-x/:@`\x00\xff";
		for (size_t b = 0; b < sizeof(bad) - 1; b++) {
			memcpy(broken, text, sizeof(broken));
			if (broken[at] == bad[b])
				continue;
			broken[at] = bad[b];
			assert_int_equal(bf_uuid_parse(broken, BF_UUID_TEXT_LEN, &id), BF_E_SYNTAX);
		}
	}
	assert_memory_equal(&id, &other, sizeof(id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bytes_differ_at_every_size),
	    cmocka_unit_test(test_no_block_comes_twice),
	    cmocka_unit_test(test_fork_shares_nothing),
	    cmocka_unit_test(test_uuid_layout),
	    cmocka_unit_test(test_uuid_order_within_a_millisecond),
	    cmocka_unit_test(test_uuid_follows_the_clock),
	    cmocka_unit_test(test_uuid_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
