/* A child leaves when a frame arrives that may not be there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/proc/contract.h"
#include "tests/support/forked.h"
#include "tests/unit/common/proc/child_script.h"

static void send_bytes(struct script *s, const void *bytes, size_t len)
{
	assert_int_equal(send(s->channel, bytes, len, MSG_NOSIGNAL), len);
}

static void refuses_bytes(const void *bytes, size_t len)
{
	struct script s;

	script_start_ready(&s, "");
	send_bytes(&s, bytes, len);
	script_expect_exit(&s, BF_EXIT_FAILED);
	script_finish(&s);
}

static void encode(uint8_t out[BF_FRAME_HEADER_SIZE], uint16_t type, uint16_t source,
		   uint16_t target, uint8_t flags)
{
	const struct bf_frame f = {
	    .type = type, .source = source, .target = target, .flags = flags, .fd = -1};

	bf_frame_encode_header(&f, out);
}

static void refuses_header(uint16_t type, uint16_t source, uint16_t target, uint8_t flags)
{
	uint8_t bytes[BF_FRAME_HEADER_SIZE];

	encode(bytes, type, source, target, flags);
	refuses_bytes(bytes, sizeof(bytes));
}

static void garbage_ends_the_child(void **state)
{
	uint8_t header[BF_FRAME_HEADER_SIZE], body[BF_FRAME_HEADER_SIZE + 3];

	(void)state;
	encode(header, BF_MSG_STOP, SUPERVISOR, CHILD_ENDPOINT, 0);
	refuses_bytes("x", 1);
	refuses_bytes("garbage garbage garbage", 23);
	refuses_bytes(header, sizeof(header) - 1);
	refuses_header(999, SUPERVISOR, CHILD_ENDPOINT, 0);
	refuses_header(BF_MSG_NONE, SUPERVISOR, CHILD_ENDPOINT, 0);
	refuses_header(BF_MSG_STOP, CTL, CHILD_ENDPOINT, 0);
	refuses_header(BF_MSG_STOP, SUPERVISOR, BF_ENDPOINT(BF_ROLE_PROXYD, 3), 0);
	refuses_header(BF_MSG_STOP, SUPERVISOR, CHILD_ENDPOINT, BF_FRAME_REPLY);
	refuses_header(BF_MSG_READY, SUPERVISOR, CHILD_ENDPOINT, 0);
	refuses_header(BF_MSG_PROC_DEAD, SUPERVISOR, CHILD_ENDPOINT, 0);
	refuses_header(BF_MSG_RESTART, CTL, CHILD_ENDPOINT, 0);
	/* adopt with an empty, a broken and a wrong body */
	refuses_header(BF_MSG_ADOPT, SUPERVISOR, CHILD_ENDPOINT, 0);
	encode(body, BF_MSG_ADOPT, SUPERVISOR, CHILD_ENDPOINT, 0);
	body[12] = 3;
	memcpy(body + BF_FRAME_HEADER_SIZE, "\x81\xa4s", 3);
	refuses_bytes(body, sizeof(body));
	memcpy(body + BF_FRAME_HEADER_SIZE, "\x80\xc0\xc0", 3);
	refuses_bytes(body, sizeof(body));
}

static void a_descriptor_where_none_belongs(void **state)
{
	struct script s;
	const struct bf_frame f = {.type = BF_MSG_STOP,
				   .source = SUPERVISOR,
				   .target = CHILD_ENDPOINT,
				   .fd = 0,
				   .flags = BF_FRAME_FD};

	(void)state;
	script_start_ready(&s, "");
	assert_int_equal(bf_frame_send_blocking(s.channel, &f, NULL), 0);
	script_expect_exit(&s, BF_EXIT_FAILED);
	script_finish(&s);
}

static void hello_comes_first_and_once(void **state)
{
	struct script s;

	(void)state;
	script_start(&s, "");
	script_send_msg(&s, BF_MSG_STATUS_GET, CTL, 5, 0, NULL);
	script_expect_exit(&s, BF_EXIT_FAILED);
	assert_int_equal(script_note_of_stop(&s), '-');
	script_finish(&s);
	script_start_ready(&s, "");
	script_send_hello(&s);
	script_expect_exit(&s, BF_EXIT_FAILED);
	script_finish(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(garbage_ends_the_child),
	    cmocka_unit_test(a_descriptor_where_none_belongs),
	    cmocka_unit_test(hello_comes_first_and_once),
	};

	if (getenv(BF_ENV_ROLE) != NULL)
		return be_child(argc, argv);
	return cmocka_run_group_tests_name("common/proc/child_dispatch", tests, NULL, NULL);
}
