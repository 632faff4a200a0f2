/* Pieces become bytes in their order, joined or listed, and what the socket does not take is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "proxyd/front/transport.h"

#define MOST 20000u

static int ends[2];
static char sent[MOST], got[MOST], scratch[BF_TLS_RECORD_MAX];

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < MOST; i++)
		sent[i] = (char)(i * 7 + i / 251);
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
}

static int teardown(void **state)
{
	(void)state;
	(void)close(ends[0]);
	return close(ends[1]);
}

static size_t drain(void)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(ends[1], got + len, MOST - len)) > 0)
		len += (size_t)n;
	return len;
}

/* total bytes in three pieces, cut at a and b. */
static void pieces_arrive(size_t total, size_t a, size_t b)
{
	struct iovec iov[] = {{sent, a}, {sent + a, b - a}, {sent + b, total - b}};

	assert_int_equal(transport_write(ends[0], NULL, iov, 3, scratch), (ssize_t)total);
	assert_int_equal(drain(), total);
	assert_memory_equal(got, sent, total);
}

static void pieces_of_any_length_arrive_in_order(void **state)
{
	static const size_t totals[] = {3, 200, 4095, 4096, 4097, 5000, MOST};

	(void)state;
	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		size_t n = totals[i];

		pieces_arrive(n, 1, 2);
		pieces_arrive(n, n / 3, n / 2);
		pieces_arrive(n, 0, n - 1);
		pieces_arrive(n, n - 1, n);
	}
}

static void one_piece_is_not_copied(void **state)
{
	struct iovec one = {sent, 100};

	(void)state;
	memset(scratch, 'x', sizeof(scratch));
	assert_int_equal(transport_write(ends[0], NULL, &one, 1, scratch), 100);
	assert_int_equal(scratch[0], 'x');
	assert_int_equal(drain(), 100);
}

static void a_full_socket_and_a_closed_one(void **state)
{
	struct iovec iov[] = {{sent, 1000}, {sent + 1000, 1000}};
	ssize_t n;

	(void)state;
	do
		n = transport_write(ends[0], NULL, iov, 2, scratch);
	while (n > 0);
	assert_int_equal(n, -EAGAIN);
	(void)close(ends[1]);
	assert_int_equal(transport_write(ends[0], NULL, iov, 2, scratch), BF_E_CLOSED);
	ends[1] = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(pieces_of_any_length_arrive_in_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_piece_is_not_copied, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_full_socket_and_a_closed_one, setup, NULL),
	};

	return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
