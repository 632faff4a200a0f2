/* Events from bytes, in pieces of every size; data of one and of several lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/macros.h"
#include "proxyd/provider/sse.h"

static const struct {
	const char *text;
	size_t ends[4]; /* 0: no more */
} streams[] = {
    {"data: a\n\ndata: b\n\n", {9, 18}},
    {"data: a\r\n\r\ndata: b\r\n\r\n", {11, 22}},
    {"data: a\r\rdata: b\r\r", {9}}, /* a lone CR at the very end may still get its LF */
    {"data: a\r\rdata: b\r\r\n", {9, 19}},
    {"data: a\r\n\ndata", {10}},
    {"data: a\n\r\nx", {10}},
    {"\n\n: c\n\n", {1, 2, 7}},
    {"data: a\ndata: b\n", {0}},
    {"data: a", {0}},
    {"", {0}},
    {"a\n\n\r\n\n", {3, 5, 6}},
};

static void events_end_where_they_end(void **state BF_UNUSED)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(streams); i++) {
		size_t len = strlen(streams[i].text);
		for (size_t step = 1; step <= len + 1; step++) {
			struct sse_scan scan = {0};
			size_t begin = 0, count = 0;
			for (size_t have = 0; have < len;) {
				have = BF_MIN(have + step, len);
				/* A copy of the exact size shows a look behind it. */
				char *copy = malloc(have + 1);
				assert_non_null(copy);
				memcpy(copy, streams[i].text, have);
				size_t n;
				while ((n = sse_next(&scan, copy + begin, have - begin)) > 0) {
					begin += n;
					assert_true(count < 4);
					if (begin != streams[i].ends[count++])
						fail_msg("stream %zu step %zu: %zu", i, step,
							 begin);
				}
				free(copy);
			}
			assert_true(count == 4 || streams[i].ends[count] == 0);
		}
	}
}

static void data_of_events(void **state BF_UNUSED)
{
	static const struct {
		const char *event, *data; /* NULL: none */
	} list[] = {
	    {"data: x\n\n", "x"},
	    {"data:x\r\n\r\n", "x"},
	    {"data:  x\n\n", " x"},
	    {"data\n\n", ""},
	    {"data:\n\n", ""},
	    {"event: e\ndata: [DONE]\nid: 1\n\n", "[DONE]"},
	    {"data: a\ndata: b\r\ndata\n\n", "a\nb\n"},
	    {": comment\n\n", NULL},
	    {"dataset: x\n\n", NULL},
	    {" data: x\n\n", NULL},
	    {"\n", NULL},
	};
	struct bf_buf scratch;

	bf_buf_init(&scratch, 64);
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct bf_slice data = {NULL, 0};
		assert_int_equal(sse_data(bf_slice_from(list[i].event), &scratch, &data), 0);
		if (!list[i].data)
			assert_null(data.ptr);
		else if (!data.ptr || !bf_slice_is(data, list[i].data))
			fail_msg("%zu: \"%.*s\"", i, BF_SLICE_FMT(data));
	}
	bf_buf_done(&scratch);
}

static void joined_data_has_a_bound(void **state BF_UNUSED)
{
	struct bf_slice data;
	struct bf_buf scratch;

	bf_buf_init(&scratch, 4);
	assert_int_equal(sse_data(BF_SLICE_LIT("data: abc\ndata: def\n\n"), &scratch, &data),
			 BF_E_LIMIT);
	bf_buf_done(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(events_end_where_they_end),
	    cmocka_unit_test(data_of_events),
	    cmocka_unit_test(joined_data_has_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
