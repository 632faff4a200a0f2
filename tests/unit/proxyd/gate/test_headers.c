/* Headers that the gateway itself reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/headers.h"
#include "tests/unit/proxyd/harness.h"

static struct exchange_header header(const char *name, const char *value)
{
	return (struct exchange_header){bf_slice_from(name), bf_slice_from(value)};
}

static struct exchange *with(struct harness *h, const struct exchange_header *headers, uint32_t n)
{
	struct exchange *x = exchange_new(&h->w);

	assert_non_null(x);
	x->headers = headers;
	x->header_count = n;
	return x;
}

static void pins_and_ids(void **state)
{
	const struct exchange_header headers[] = {
	    header("Host", "a"),
	    header("X-BF-API-Key", "name"),
	    header("x-bf-api-key-id", "id-1"),
	    header("X-Bf-Parent-Request-Id", "parent~!"),
	    header("x-bf-vk", "sk-bf-1"),
	    header("x-bf", "x"),
	};
	struct infer_error e;
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	struct exchange *x = with(&h, headers, BF_ARRAY_LEN(headers));
	x->request_id = BF_SLICE_LIT("my-request");
	assert_int_equal(headers_read(x, &e), 0);
	assert_true(bf_slice_is(x->pin_key_name, "name"));
	assert_true(bf_slice_is(x->pin_key_id, "id-1"));
	assert_string_equal(x->record.parent_id, "parent~!");
	assert_string_equal(x->record.request_id, "my-request");
	exchange_free(x);
	x = with(&h, headers, 1);
	assert_int_equal(headers_read(x, &e), 0);
	assert_int_equal(x->pin_key_name.len + x->pin_key_id.len, 0);
	assert_int_equal(x->record.parent_id[0], 0);
	assert_int_equal(x->record.request_id[0], 0);
	exchange_free(x);
	/* The longest that the front takes is kept whole. */
	char longest[128];
	memset(longest, 'r', sizeof(longest));
	x = with(&h, headers, 1);
	x->request_id = (struct bf_slice){longest, sizeof(longest)};
	assert_int_equal(headers_read(x, &e), 0);
	assert_memory_equal(x->record.request_id, longest, sizeof(longest));
	exchange_free(x);
	harness_close(&h);
}

static int parent(struct harness *h, const char *value)
{
	const struct exchange_header one = header("x-bf-parent-request-id", value);
	struct infer_error e = {0};
	struct exchange *x = with(h, &one, 1);
	int r = headers_read(x, &e);

	assert_int_equal(r < 0, e.http_status == 400);
	if (r == 0)
		assert_memory_equal(x->record.parent_id, value, strlen(value));
	exchange_free(x);
	return r;
}

static void parents_are_visible_and_short(void **state)
{
	char id[66];
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	memset(id, 'x', sizeof(id));
	id[64] = '\0';
	assert_int_equal(parent(&h, id), 0);
	id[64] = 'x';
	id[65] = '\0';
	assert_int_equal(parent(&h, id), -1);
	assert_int_equal(parent(&h, ""), 0);
	assert_int_equal(parent(&h, "a b"), -1);
	assert_int_equal(parent(&h, "a\x7f"), -1);
	assert_int_equal(parent(&h, "\xc3\xa4"), -1);
	harness_close(&h);
}

static void three_required(struct bf_config *config)
{
	static struct bf_slice names[] = {{"x-team", 6}, {"x-app", 5}, {"x-cost-center", 13}};

	config->client.required_headers = (struct bf_array){names, 3};
}

static void missing_ones_are_named(void **state)
{
	const struct exchange_header headers[] = {header("X-App", "a"), header("X-Team", "t"),
						  header("x-cost-center", "1")};
	const struct exchange_header empty[] = {header("X-App", "a"), header("X-Team", ""),
						header("x-cost-center", "1")};
	struct infer_error e;
	struct harness h;

	(void)state;
	harness_open(&h, three_required);
	struct exchange *x = with(&h, headers, 1);
	assert_int_equal(headers_read(x, &e), -1);
	assert_int_equal(e.http_status, 400);
	assert_string_equal(e.type, "missing_required_headers");
	assert_string_equal(e.text, "missing required headers: x-team, x-cost-center");
	x->header_count = 3;
	assert_int_equal(headers_read(x, &e), 0);
	exchange_free(x);
	x = with(&h, empty, 3);
	assert_int_equal(headers_read(x, &e), -1);
	assert_string_equal(e.text, "missing required headers: x-team");
	exchange_free(x);
	harness_close(&h);
}

static void many_required(struct bf_config *config)
{
	static struct bf_slice names[64];

	for (size_t i = 0; i < 64; i++)
		names[i] = BF_SLICE_LIT("x-a-rather-long-name-of-a-header");
	config->client.required_headers = (struct bf_array){names, 64};
}

static void a_long_list_is_cut(void **state)
{
	struct infer_error e;
	struct harness h;

	(void)state;
	harness_open(&h, many_required);
	struct exchange *x = with(&h, NULL, 0);
	assert_int_equal(headers_read(x, &e), -1);
	assert_true(strlen(e.text) > 100 && strlen(e.text) < sizeof(e.text));
	exchange_free(x);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pins_and_ids),
	    cmocka_unit_test(parents_are_visible_and_short),
	    cmocka_unit_test(missing_ones_are_named),
	    cmocka_unit_test(a_long_list_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
