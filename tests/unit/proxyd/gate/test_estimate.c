/* What is reserved before anybody knows, and learned afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/estimate.h"

static uint64_t output(const struct estimate_asked *asked, const struct estimate_lengths *lengths)
{
	return estimate_make(SHM_OBJECT_CHAT, 0, asked, lengths).output_tokens;
}

static void prompts_by_their_bytes(void **state)
{
	const struct estimate_asked asked = {0};

	(void)state;
	assert_int_equal(estimate_make(SHM_OBJECT_CHAT, 0, &asked, NULL).prompt_tokens, 8);
	assert_int_equal(estimate_make(SHM_OBJECT_CHAT, 1, &asked, NULL).prompt_tokens, 9);
	assert_int_equal(estimate_make(SHM_OBJECT_CHAT, 3, &asked, NULL).prompt_tokens, 9);
	assert_int_equal(estimate_make(SHM_OBJECT_CHAT, 1000, &asked, NULL).prompt_tokens, 342);
	assert_true(estimate_make(SHM_OBJECT_CHAT, UINT64_MAX, &asked, NULL).prompt_tokens <=
		    ESTIMATE_TOKENS_MAX);
}

static void answers_by_what_is_known(void **state)
{
	struct estimate_lengths lengths = {0};
	struct estimate_asked asked = {.streams = true};

	(void)state;
	assert_int_equal(output(&asked, NULL), ESTIMATE_UNKNOWN);
	assert_int_equal(output(&asked, &lengths), ESTIMATE_UNKNOWN);
	for (unsigned i = 1; i < ESTIMATE_LEARNED; i++)
		estimate_learn(&lengths, &asked, 100);
	assert_int_equal(output(&asked, &lengths), ESTIMATE_UNKNOWN);
	estimate_learn(&lengths, &asked, 100);
	assert_int_equal(output(&asked, &lengths), 192); /* 128 x 1.5 */
	asked.choices = 3;
	assert_int_equal(output(&asked, &lengths), 576);
	asked = (struct estimate_asked){.bounded = true, .max_tokens = 7};
	assert_int_equal(output(&asked, &lengths), 7);
	asked.choices = 2;
	assert_int_equal(output(&asked, &lengths), 14);
	asked = (struct estimate_asked){.bounded = true, .max_tokens = 0};
	assert_int_equal(output(&asked, &lengths), 0);
	assert_int_equal(estimate_make(SHM_OBJECT_EMBEDDING, 9, &asked, &lengths).output_tokens, 0);
}

/* Nothing more can be reserved for an answer that is not streamed. */
static void short_answers_open_no_door(void **state)
{
	const struct estimate_asked plain = {0}, stream = {.streams = true};
	struct estimate_lengths lengths = {0};

	(void)state;
	for (unsigned i = 0; i < ESTIMATE_LEARNED; i++)
		estimate_learn(&lengths, &plain, 1);
	assert_int_equal(output(&stream, &lengths), 1);
	assert_int_equal(output(&plain, &lengths), ESTIMATE_UNKNOWN);
	for (unsigned i = 0; i < ESTIMATE_LEARNED; i++)
		estimate_learn(&lengths, &stream, 8000);
	assert_int_equal(output(&stream, &lengths), 8192 * 3 / 2);
	assert_int_equal(output(&plain, &lengths), 8192 * 3 / 2);
}

static void each_prompt_has_its_answers(void **state)
{
	struct estimate_asked asked = {
	    .bounded = true, .max_tokens = 100, .choices = 2, .prompts = 50};
	struct estimate_lengths lengths = {0};

	(void)state;
	assert_int_equal(output(&asked, NULL), 10000);
	/* More prompts than answers that anybody gives to one. */
	asked.choices = 0;
	asked.prompts = 5000;
	assert_int_equal(output(&asked, NULL), 500000);
	asked = (struct estimate_asked){.streams = true, .choices = 2, .prompts = 50};
	for (unsigned i = 0; i < ESTIMATE_LEARNED; i++)
		estimate_learn(&lengths, &asked, 6400);
	assert_int_equal(output(&asked, &lengths), 96 * 100);
}

static void tokens_given_as_numbers(void **state)
{
	struct estimate_asked asked = {.listed_tokens = 10, .listed_bytes = 60};
	struct estimate e = estimate_make(SHM_OBJECT_EMBEDDING, 90, &asked, NULL);

	(void)state;
	assert_int_equal(e.prompt_tokens, 10 + 10 + 8);
	e = estimate_make(SHM_OBJECT_EMBEDDING, 60, &asked, NULL);
	assert_int_equal(e.prompt_tokens, 10 + 8);
	e = estimate_make(SHM_OBJECT_EMBEDDING, 0, &asked, NULL);
	assert_int_equal(e.prompt_tokens, 10 + 8);
	asked.listed_tokens = asked.listed_bytes = UINT32_MAX;
	e = estimate_make(SHM_OBJECT_EMBEDDING, UINT64_MAX, &asked, NULL);
	assert_int_equal(e.prompt_tokens, ESTIMATE_TOKENS_MAX);
}

static void nobody_reserves_the_world(void **state)
{
	const struct estimate_asked asked = {.bounded = true,
					     .max_tokens = UINT64_MAX,
					     .choices = UINT32_MAX,
					     .prompts = UINT32_MAX};

	(void)state;
	assert_int_equal(output(&asked, NULL), ESTIMATE_TOKENS_MAX);
}

static void one_in_a_hundred_may_be_longer(void **state)
{
	const struct estimate_asked asked = {.streams = true};
	struct estimate_lengths lengths = {0};

	(void)state;
	for (unsigned i = 0; i < 199; i++)
		estimate_learn(&lengths, &asked, 10);
	estimate_learn(&lengths, &asked, 100000);
	estimate_learn(&lengths, &asked, 100000);
	assert_int_equal(output(&asked, &lengths), 24); /* 16 x 1.5 */
	estimate_learn(&lengths, &asked, 100000);
	assert_int_equal(output(&asked, &lengths), 131072 * 3 / 2);
}

static void edges_of_buckets(void **state)
{
	static const uint64_t lengths_of[][2] = {{0, 1}, {1, 1}, {2, 3}, {3, 6}, {4, 6}, {5, 12}};
	const struct estimate_asked asked = {.streams = true};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths_of) / sizeof(lengths_of[0]); i++) {
		struct estimate_lengths lengths = {0};
		for (unsigned n = 0; n < ESTIMATE_LEARNED; n++)
			estimate_learn(&lengths, &asked, lengths_of[i][0]);
		assert_int_equal(output(&asked, &lengths), lengths_of[i][1]);
	}
	struct estimate_lengths lengths = {0};
	for (unsigned n = 0; n < ESTIMATE_LEARNED; n++)
		estimate_learn(&lengths, &asked, UINT64_MAX);
	assert_int_equal(output(&asked, &lengths), (UINT64_C(1) << 21) * 3 / 2);
}

static void a_maximum_teaches_nothing(void **state)
{
	const struct estimate_asked asked = {.bounded = true, .max_tokens = 5};
	struct estimate_lengths lengths = {0};

	(void)state;
	for (unsigned n = 0; n < 100; n++)
		estimate_learn(&lengths, &asked, 5);
	assert_int_equal(lengths.count, 0);
}

static void what_was_long_ago_fades(void **state)
{
	const struct estimate_asked asked = {.streams = true};
	struct estimate_lengths lengths = {0};

	(void)state;
	for (unsigned n = 0; n < 100000; n++)
		estimate_learn(&lengths, &asked, 1000);
	for (unsigned n = 0; n < 100000; n++)
		estimate_learn(&lengths, &asked, 10);
	assert_int_equal(output(&asked, &lengths), 24);
	assert_true(lengths.count <= 8192);
}

static void streams_ask_in_time(void **state)
{
	(void)state;
	assert_int_equal(estimate_more(0, 4096, false), 0);
	assert_int_equal(estimate_more(3072, 4096, false), 0);
	assert_int_equal(estimate_more(3073, 4096, false), 6146);
	assert_int_equal(estimate_more(1, 0, false), 1024);
	assert_int_equal(estimate_more(100, 100, true), 0);
	assert_int_equal(estimate_more(101, 100, true), 1024);
	/* However far it jumps, one extension is enough for now. */
	for (uint64_t seen = 1; seen < 1000000; seen = seen * 3 + 1) {
		uint64_t reserved = 10, more = estimate_more(seen, reserved, false);
		assert_int_equal(estimate_more(seen, reserved + more, false), 0);
	}
	assert_true(estimate_more(UINT64_MAX, 1, false) <= ESTIMATE_TOKENS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(prompts_by_their_bytes),
	    cmocka_unit_test(answers_by_what_is_known),
	    cmocka_unit_test(short_answers_open_no_door),
	    cmocka_unit_test(each_prompt_has_its_answers),
	    cmocka_unit_test(tokens_given_as_numbers),
	    cmocka_unit_test(nobody_reserves_the_world),
	    cmocka_unit_test(one_in_a_hundred_may_be_longer),
	    cmocka_unit_test(edges_of_buckets),
	    cmocka_unit_test(a_maximum_teaches_nothing),
	    cmocka_unit_test(what_was_long_ago_fades),
	    cmocka_unit_test(streams_ask_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
