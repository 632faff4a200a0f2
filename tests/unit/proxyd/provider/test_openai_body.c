/* Requests as they go upstream: spliced, not rewritten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/gate/infer.h"
#include "proxyd/gate/infer_edit.h"
#include "proxyd/gate/route.h"
#include "proxyd/provider/openai_body.h"
#include "proxyd/provider/provider.h"
#include "tests/unit/proxyd/harness.h"

#define MSG "\"messages\":[{\"role\":\"user\"}]"

/* What a body becomes; "mock" stands for any provider. */
static void splice(const char *body, bool ask, const char *expected)
{
	struct iovec pieces[OPENAI_PIECES_MAX];
	static const struct route chat = {.object = SHM_OBJECT_CHAT};
	struct infer_error e;
	struct harness h;
	char out[1024];
	size_t len = 0;

	harness_open(&h, NULL);
	struct exchange *x = exchange_new(&h.w);
	assert_non_null(x);
	x->body = bf_slice_from(body);
	x->route = &chat;
	if (infer_read(x, h.w.providers, &e) < 0)
		fail_msg("%s: %s", body, e.text);
	int n = openai_body_splice(x, ask, pieces);
	assert_true(n > 0 && n <= (int)OPENAI_PIECES_MAX);
	for (int i = 0; i < n; i++) {
		assert_true(pieces[i].iov_len > 0 && len + pieces[i].iov_len < sizeof(out));
		memcpy(out + len, pieces[i].iov_base, pieces[i].iov_len);
		len += pieces[i].iov_len;
	}
	out[len] = '\0';
	assert_string_equal(out, expected);
	exchange_free(x);
	harness_close(&h);
}

static void splicing(void **state BF_UNUSED)
{
	splice("{\"model\":\"mock/m\"," MSG "}", true, "{\"model\":\"m\"," MSG "}");
	splice(" { \"model\" : \"mock/a/b\" ," MSG ",\"x\":1.0}", true,
	       " { \"model\" : \"a/b\" ," MSG ",\"x\":1.0}");
	/* Escaped names are written again. */
	splice("{\"model\":\"mock\\/q\\\"\\u00e4\"," MSG "}", true,
	       "{\"model\":\"q\\\"\xc3\xa4\"," MSG "}");
	/* A plain request is never touched otherwise. */
	splice("{\"model\":\"mock/m\"," MSG ",\"stream_options\":{}}", true,
	       "{\"model\":\"m\"," MSG ",\"stream_options\":{}}");
}

/* Only what stands before the model's name is cut off; another name is put in. */
static void names_in_place(void **state BF_UNUSED)
{
	static const char body[] = "{\"model\":\"mock/m\",\"fallbacks\":[\"mock/m\"]}";
	const struct exchange_edit string = {.from = 9, .to = 17};
	struct iovec pieces[OPENAI_PIECES_MAX];
	struct harness h;

	harness_open(&h, NULL);
	struct exchange *x = exchange_new(&h.w);
	assert_non_null(x);
	x->body = bf_slice_from(body);
	x->model_edit = string;
	x->model = (struct bf_slice){body + 15, 1};
	assert_int_equal(openai_body_splice(x, false, pieces), 2);
	assert_int_equal(pieces[0].iov_len, 10);
	assert_ptr_equal(pieces[1].iov_base, body + 15);
	assert_int_equal(pieces[1].iov_len, sizeof(body) - 1 - 15);
	const struct bf_slice others[] = {{body + 37, 1}, {body + 11, 2}, BF_SLICE_LIT("m")};
	for (size_t i = 0; i < BF_ARRAY_LEN(others); i++) {
		x->model = others[i];
		assert_int_equal(openai_body_splice(x, false, pieces), 3);
		assert_ptr_equal(pieces[1].iov_base, others[i].ptr);
		assert_ptr_equal(pieces[2].iov_base, body + 16);
	}
	exchange_free(x);
	harness_close(&h);
}

#define S "\"stream\":true,"

static void asking_for_usage(void **state BF_UNUSED)
{
	splice("{" S "\"model\":\"mock/m\"," MSG "}", true,
	       "{\"stream_options\":{\"include_usage\":true}," S "\"model\":\"m\"," MSG "}");
	splice("{" S "\"model\":\"mock/m\"," MSG "}", false, "{" S "\"model\":\"m\"," MSG "}");
	splice("{" S "\"stream_options\":null,\"model\":\"mock/m\"," MSG "}", true,
	       "{" S "\"stream_options\":{\"include_usage\":true},\"model\":\"m\"," MSG "}");
	splice("{\"model\":\"mock/m\"," S "\"stream_options\":{ }," MSG "}", true,
	       "{\"model\":\"m\"," S "\"stream_options\":{\"include_usage\":true }," MSG "}");
	splice("{\"model\":\"mock/m\"," S "\"stream_options\":{\"a\":[]}," MSG "}", true,
	       "{\"model\":\"m\"," S "\"stream_options\":{\"include_usage\":true,\"a\":[]}," MSG
	       "}");
	splice("{\"model\":\"mock/m\"," S "\"stream_options\":{\"include_usage\":false}," MSG "}",
	       true, "{\"model\":\"m\"," S "\"stream_options\":{\"include_usage\":true}," MSG "}");
	splice("{\"model\":\"mock/m\"," S "\"stream_options\":{\"include_usage\":null}," MSG "}",
	       true, "{\"model\":\"m\"," S "\"stream_options\":{\"include_usage\":true}," MSG "}");
	splice("{\"model\":\"mock/m\"," S "\"stream_options\":{\"include_usage\":true}," MSG "}",
	       true, "{\"model\":\"m\"," S "\"stream_options\":{\"include_usage\":true}," MSG "}");
}

/* ---- the property: spliced text parses, and says what the edited document says */

struct members {
	const char *text[6];
	size_t count;
};

static const char *const blanks[] = {"", " ", "\n\t", " \r\n  "};

#define PUT(...) len += (size_t)snprintf(out + len, size - len, __VA_ARGS__)

/* An object of the members in this order, blanks chosen by seed. */
static void compose(char *out, size_t size, const struct members *m, const unsigned *order,
		    unsigned seed)
{
	size_t len = 0;

	PUT("%s{%s", blanks[seed % 4], blanks[seed / 4 % 4]);
	for (size_t i = 0; i < m->count; i++)
		PUT("%s%s%s%s", i ? "," : "", blanks[(seed + i) % 4], m->text[order[i]],
		    blanks[(seed / 3 + i) % 4]);
	PUT("}%s", blanks[seed / 16 % 4]);
	assert_true(len < size);
}

/* The edit done on the list of members instead of the bytes. */
static void expect(char *out, size_t size, const struct members *m, const unsigned *order,
		   bool usage)
{
	size_t len = 0;
	const char *comma = usage ? "," : "";

	PUT("{%s", usage ? "\"stream_options\":{\"include_usage\":true}" : "");
	for (size_t i = 0; i < m->count; i++) {
		const char *text = m->text[order[i]];
		if (strncmp(text, "\"fallbacks\"", 11) == 0)
			continue;
		if (strncmp(text, "\"model\"", 7) == 0)
			text = "\"model\":\"n \xc3\xa4\\\"/x\"";
		PUT("%s%s", comma, text);
		comma = ",";
	}
	PUT("}");
	assert_true(len < size);
}

/* Without the blanks between tokens. */
static void squeeze(char *text)
{
	bool in_string = false;
	char *to = text;

	for (const char *at = text; *at; at++) {
		if (in_string && *at == '\\')
			*to++ = *at++;
		else if (*at == '"')
			in_string = !in_string;
		else if (!in_string && strchr(" \t\r\n", *at))
			continue;
		*to++ = *at;
	}
	*to = '\0';
}

/* Permutation number n of count items. */
static void order_of(unsigned n, size_t count, unsigned *order)
{
	unsigned left[6] = {0, 1, 2, 3, 4, 5};

	for (size_t have = count; have > 0; have--) {
		unsigned pick = n % (unsigned)have;
		n /= (unsigned)have;
		order[count - have] = left[pick];
		memmove(left + pick, left + pick + 1, (5 - pick) * sizeof(left[0]));
	}
}

/* As the gate does it, but for names and members that it would refuse. */
static void take_edits(struct exchange *x, bool usage)
{
	struct bf_arena arena;
	struct bf_json_tape t;
	uint32_t fallbacks;

	bf_arena_init(&arena, 1 << 20);
	assert_int_equal(bf_json_parse(&t, x->body, &arena, &bf_json_default_limits, NULL), 0);
	infer_edit_model(x, &t, bf_json_member(&t, 0, "model"));
	fallbacks = bf_json_member(&t, 0, "fallbacks");
	if (fallbacks != BF_JSON_NONE)
		infer_edit_cut_fallbacks(x, &t, fallbacks);
	if (usage)
		infer_edit_usage(x, &t, bf_json_member(&t, 0, "stream_options"));
	bf_arena_done(&arena);
}

static void check_splice(struct harness *h, const char *body, const char *expected, bool usage)
{
	struct iovec pieces[OPENAI_PIECES_MAX];
	struct exchange *x = exchange_new(&h->w);
	struct bf_json_tape tape;
	char out[1024];
	size_t len = 0;

	assert_non_null(x);
	x->body = bf_slice_from(body);
	take_edits(x, usage);
	x->model = BF_SLICE_LIT("n \xc3\xa4\"/x");
	int n = openai_body_splice(x, true, pieces);
	assert_true(n > 0 && n <= (int)OPENAI_PIECES_MAX);
	for (int i = 0; i < n; i++) {
		memcpy(out + len, pieces[i].iov_base, pieces[i].iov_len);
		len += pieces[i].iov_len;
	}
	out[len] = '\0';
	if (bf_json_parse(&tape, (struct bf_slice){out, len}, &x->arena, &bf_json_default_limits,
			  NULL) < 0)
		fail_msg("%s -> %s", body, out);
	squeeze(out);
	assert_string_equal(out, expected);
	exchange_free(x);
}

static void splicing_equals_the_edit(void **state BF_UNUSED)
{
	static const struct {
		struct members m;
		unsigned orders;
	} lists[] = {
	    {{{"\"model\":\"a/b\""}, 1}, 1},
	    {{{"\"model\":\"a\\/b\"", "\"fallbacks\":[]"}, 2}, 2},
	    {{{"\"model\":\"a/b\"", "\"fallbacks\":[\"c/d\",{\"model\":\"e\"}]", "\"x\":{}"}, 3},
	     6},
	    {{{"\"m\":[1,\",}\"]", "\"fallbacks\":null", "\"model\":\"\"", "\"y\":\"fallbacks\"",
	       "\"z\":{\"fallbacks\":[1]}"},
	      5},
	     120},
	};
	char body[512], expected[512];
	unsigned order[6];
	struct harness h;

	harness_open(&h, NULL);
	for (size_t l = 0; l < BF_ARRAY_LEN(lists); l++) {
		for (unsigned i = 0; i < lists[l].orders * 22; i++) {
			unsigned seed = i % 22 * 3;
			order_of(i / 22, lists[l].m.count, order);
			compose(body, sizeof(body), &lists[l].m, order, seed);
			expect(expected, sizeof(expected), &lists[l].m, order, seed % 2);
			check_splice(&h, body, expected, seed % 2);
		}
	}
	harness_close(&h);
}

/* Names of fallbacks come from elsewhere than the member, and may need escapes. */
static void names_that_are_not_in_the_body(void **state BF_UNUSED)
{
	struct harness h;

	harness_open(&h, NULL);
	check_splice(&h, "{\"model\":\"m\\u00e4\"}", "{\"model\":\"n \xc3\xa4\\\"/x\"}", false);
	check_splice(&h, "{\"model\":\"\"}", "{\"model\":\"n \xc3\xa4\\\"/x\"}", false);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(splicing),
	    cmocka_unit_test(names_in_place),
	    cmocka_unit_test(asking_for_usage),
	    cmocka_unit_test(splicing_equals_the_edit),
	    cmocka_unit_test(names_that_are_not_in_the_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
