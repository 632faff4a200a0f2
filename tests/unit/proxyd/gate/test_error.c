/* Error bodies and events in each dialect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/error.h"
#include "proxyd/gate/route.h"

static const struct route routes[] = {
    {.object = SHM_OBJECT_CHAT, .dialect = ERROR_UNIFIED},
    {.object = SHM_OBJECT_COMPLETION, .dialect = ERROR_OPENAI},
    {.object = SHM_OBJECT_RESPONSES, .dialect = ERROR_UNIFIED},
    {.object = SHM_OBJECT_RESPONSES, .dialect = ERROR_OPENAI},
};

static struct bf_buf out;

static void expect(const char *text)
{
	if (!bf_slice_is(bf_buf_slice(&out), text))
		fail_msg("expected\n%s\ngot\n%.*s", text, BF_SLICE_FMT(bf_buf_slice(&out)));
	bf_buf_clear(&out);
}

static void bodies(void **state)
{
	struct exchange x = {.route = &routes[0]};

	(void)state;
	assert_int_equal(error_write(&out, ERROR_UNIFIED, 400, "invalid_request", "a\"b", NULL), 0);
	expect("{\"type\":\"invalid_request\",\"is_bifrost_error\":true,\"status_code\":400,"
	       "\"error\":{\"type\":\"invalid_request\",\"message\":\"a\\\"b\"},\"extra_fields\":{"
	       "\"error_type\":\"caller_invalid_request\"}}");
	assert_int_equal(error_write(&out, ERROR_UNIFIED, 502, NULL, "m", &x), 0);
	expect("{\"is_bifrost_error\":true,\"status_code\":502,\"error\":{\"message\":\"m\"},"
	       "\"extra_fields\":{\"error_type\":\"provider_server_error\",\"request_type\":"
	       "\"chat_completion\"}}");
	assert_int_equal(error_write(&out, ERROR_OPENAI, 429, "rate_limited", "m", &x), 0);
	expect("{\"error\":{\"message\":\"m\",\"type\":\"rate_limit_error\",\"param\":null,"
	       "\"code\":\"rate_limited\"}}");
	assert_int_equal(error_write(&out, ERROR_OPENAI, 404, NULL, "m", NULL), 0);
	expect("{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"param\":null,"
	       "\"code\":null}}");
}

static void events(void **state)
{
	struct exchange x = {.route = &routes[0], .stream_events = 7};

	(void)state;
	assert_int_equal(error_event_write(&out, &x, 504, "upstream_timeout", "late"), 0);
	expect("data: {\"type\":\"upstream_timeout\",\"is_bifrost_error\":true,\"status_code\":504,"
	       "\"error\":{\"type\":\"upstream_timeout\",\"message\":\"late\"},\"extra_fields\":{"
	       "\"error_type\":\"provider_timeout\",\"request_type\":\"chat_completion\"}}\n\n");
	x.route = &routes[1];
	assert_int_equal(error_event_write(&out, &x, 502, "upstream_closed", "cut"), 0);
	expect("data: {\"error\":{\"message\":\"cut\",\"type\":\"server_error\",\"param\":null,"
	       "\"code\":\"upstream_closed\"}}\n\n");
	x.route = &routes[2];
	assert_int_equal(error_event_write(&out, &x, 502, "upstream_closed", "cut"), 0);
	expect("event: error\ndata: {\"type\":\"error\",\"sequence_number\":7,\"code\":"
	       "\"upstream_closed\",\"message\":\"cut\",\"param\":null,\"error\":{\"message\":"
	       "\"cut\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream_closed\"},"
	       "\"extra_fields\":{\"error_type\":\"provider_connection_failed\",\"request_type\":"
	       "\"responses\"}}\n\n");
	x.route = &routes[3];
	assert_int_equal(error_event_write(&out, &x, 502, NULL, "cut"), 0);
	expect("event: error\ndata: {\"type\":\"error\",\"sequence_number\":7,\"code\":null,"
	       "\"message\":\"cut\",\"param\":null,\"error\":{\"message\":\"cut\",\"type\":"
	       "\"server_error\",\"param\":null,\"code\":null}}\n\n");
}

/* Whatever the room is, half an event is never left behind. */
static void no_room_for_an_event(void **state)
{
	struct exchange x = {.route = &routes[2]};
	struct bf_buf tight;

	(void)state;
	for (size_t max = 1; max < 2048; max++) {
		bf_buf_init(&tight, max);
		int r = error_event_write(&tight, &x, 502, "upstream_closed", "cut");
		assert_int_equal(r < 0, bf_buf_len(&tight) == 0);
		bf_buf_done(&tight);
		if (r == 0)
			return;
	}
	fail_msg("2 KB did not suffice");
}

static int setup(void **state)
{
	(void)state;
	bf_buf_init(&out, 1 << 16);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_buf_done(&out);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bodies),
	    cmocka_unit_test(events),
	    cmocka_unit_test(no_room_for_an_event),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
