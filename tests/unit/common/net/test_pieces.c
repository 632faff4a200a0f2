/* Pieces become bytes in their order, joined or listed; what lies in one piece is not copied. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/net/pieces.h"

#define MOST 20000u

static int ends[2];
static char sent[MOST], got[MOST], scratch[BF_PIECES_JOIN_BYTES];

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < MOST; i++)
		sent[i] = (char)(i * 7 + i / 251);
	memset(scratch, 'x', sizeof(scratch));
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
}

static int teardown(void **state)
{
	(void)state;
	(void)close(ends[0]);
	return close(ends[1]);
}

/* total bytes in three pieces, cut at a and b. */
static void arrive(size_t total, size_t a, size_t b, char *room)
{
	struct iovec iov[] = {{sent, a}, {sent + a, b - a}, {sent + b, total - b}};
	size_t len = 0;
	ssize_t n;

	assert_int_equal(bf_pieces_send(ends[0], iov, 3, room), (ssize_t)total);
	while ((n = read(ends[1], got + len, MOST - len)) > 0)
		len += (size_t)n;
	assert_int_equal(len, total);
	assert_memory_equal(got, sent, total);
}

static void of_any_length_they_arrive_in_order(void **state)
{
	static const size_t totals[] = {3, 200, 4095, 4096, 4097, 5000, MOST};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(totals); i++) {
		size_t n = totals[i];

		arrive(n, 1, 2, scratch);
		arrive(n, n / 3, n / 2, scratch);
		arrive(n, 0, n - 1, scratch);
		arrive(n, n - 1, n, NULL);
	}
}

static void long_ones_and_single_ones_are_not_copied(void **state)
{
	struct iovec one = {sent, 100};

	(void)state;
	assert_int_equal(bf_pieces_send(ends[0], &one, 1, scratch), 100);
	assert_int_equal(read(ends[1], got, MOST), 100);
	arrive(4097, 1, 2, scratch);
	assert_int_equal(scratch[0], 'x');
	arrive(4096, 1, 2, scratch);
	assert_memory_equal(scratch, sent, 4096);
}

static void a_full_socket_and_a_closed_one(void **state)
{
	struct iovec iov[] = {{sent, 1000}, {sent + 1000, 1000}};
	ssize_t n;

	(void)state;
	do
		n = bf_pieces_send(ends[0], iov, 2, scratch);
	while (n > 0);
	assert_int_equal(n, -EAGAIN);
	(void)close(ends[1]);
	assert_int_equal(bf_pieces_send(ends[0], iov, 2, scratch), -EPIPE);
	ends[1] = -1;
}

/* Every beginning and every length, of pieces of which some are empty. */
static void cuts_are_whole(void **state)
{
	struct iovec iov[] = {{sent, 0}, {sent, 3}, {sent + 3, 0}, {sent + 3, 5}, {sent + 8, 4}};

	(void)state;
	for (size_t from = 0; from <= 13; from++) {
		for (size_t max = 1; max <= 14; max++) {
			size_t left = from < 12 ? 12 - from : 0;
			struct bf_slice cut =
			    bf_pieces_cut(iov, BF_ARRAY_LEN(iov), from, max, scratch);

			assert_int_equal(cut.len, BF_MIN(left, max));
			if (cut.len)
				assert_memory_equal(cut.ptr, sent + from, cut.len);
		}
	}
	/* In one piece: where it lies. */
	assert_ptr_equal(bf_pieces_cut(iov, 5, 0, 3, scratch).ptr, sent);
	assert_ptr_equal(bf_pieces_cut(iov, 5, 4, 2, scratch).ptr, sent + 4);
	assert_ptr_equal(bf_pieces_cut(iov, 5, 9, 100, scratch).ptr, sent + 9);
	assert_ptr_equal(bf_pieces_cut(iov, 5, 2, 2, scratch).ptr, scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(of_any_length_they_arrive_in_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(long_ones_and_single_ones_are_not_copied, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_full_socket_and_a_closed_one, setup, NULL),
	    cmocka_unit_test_setup_teardown(cuts_are_whole, setup, teardown),
	};

	return cmocka_run_group_tests_name("pieces", tests, NULL, NULL);
}
