/*
 * What requests cost: SHEET REQUESTS, both JSON; a line "COST BOUND" of nano-dollars for each, or
 * "-" where no price is known. Run by tests/integration/test_prices.py, which knows the right
 * answers from elsewhere. Must hold no rule of prices itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/codec/json_tape.h"
#include "common/govern/price_book.h"
#include "common/schema/price_sheet.h"

static struct bf_arena arena;

static void fail(const char *what)
{
	(void)fprintf(stderr, "pricer: %s\n", what);
	exit(1);
}

static struct bf_slice read_file(const char *path)
{
	struct bf_buf text;
	char piece[4096];
	FILE *f = fopen(path, "r");

	if (!f)
		fail(path);
	bf_buf_init(&text, BF_SHEET_MAX_BYTES);
	for (size_t n; (n = fread(piece, 1, sizeof(piece), f)) > 0;)
		if (bf_buf_append(&text, piece, n) < 0)
			fail(path);
	(void)fclose(f);
	struct bf_slice kept = bf_arena_dup(&arena, bf_buf_slice(&text));
	bf_buf_done(&text);
	return kept;
}

static struct bf_slice text_of(const struct bf_json_tape *t, uint32_t request, const char *key)
{
	uint32_t i = bf_json_member(t, request, key);
	struct bf_slice text = {"", 0};

	if (i != BF_JSON_NONE)
		(void)bf_json_string(t, i, &arena, &text);
	return text;
}

static uint64_t number_of(const struct bf_json_tape *t, uint32_t request, const char *key)
{
	uint32_t i = bf_json_member(t, request, key);
	int64_t value = 0;

	if (i != BF_JSON_NONE && bf_json_i64(t, i, &value) < 0)
		fail(key);
	return (uint64_t)value;
}

static enum bf_price_mode mode_of(struct bf_slice name)
{
	if (bf_slice_is(name, "responses"))
		return BF_PRICE_RESPONSES;
	return bf_slice_is(name, "embedding") ? BF_PRICE_EMBEDDING : BF_PRICE_CHAT;
}

static void tell(const struct bf_price_book *book, const struct bf_json_tape *t, uint32_t request)
{
	const struct bf_price_query query = {
	    .provider = text_of(t, request, "provider"),
	    .model = text_of(t, request, "model"),
	    .mode = mode_of(text_of(t, request, "mode")),
	};
	const struct bf_price_usage usage = {
	    .prompt_tokens = number_of(t, request, "prompt"),
	    .completion_tokens = number_of(t, request, "completion"),
	    .cached_read = number_of(t, request, "cached"),
	    .cached_write = number_of(t, request, "written"),
	    .cached_write_1hr = number_of(t, request, "written_1hr"),
	    .audio_prompt = number_of(t, request, "heard"),
	    .audio_completion = number_of(t, request, "spoken"),
	    .reasoning = number_of(t, request, "thought"),
	    .searches = number_of(t, request, "searches"),
	    .tier = bf_service_tier_of(text_of(t, request, "tier")),
	    .reported_nusd = (int64_t)number_of(t, request, "cost_nusd"),
	};
	struct bf_price_found found;
	struct bf_price_bound bound;
	struct bf_conf_price room;

	if (!bf_price_find(book, &query, &found)) {
		puts("-");
		return;
	}
	const struct bf_conf_price *price = bf_price_found_whole(&found, &room);
	bf_price_bound_of(price, &bound);
	printf("%" PRId64 " %" PRId64 "\n", bf_price_cost_nusd(price, &usage),
	       bf_price_bound_nusd(&bound, usage.prompt_tokens, usage.completion_tokens));
}

int main(int argc, char **argv)
{
	struct bf_config config;
	struct bf_price_book book;
	struct bf_json_tape t;
	struct bf_err err = {.code = 0};

	if (argc != 3)
		fail("usage: pricer SHEET REQUESTS");
	bf_arena_init(&arena, 256u << 20);
	memset(&config, 0, sizeof(config));
	if (bf_price_sheet_read(read_file(argv[1]), &arena, &config.pricing.sheet, &err) < 0 ||
	    bf_json_parse(&t, read_file(argv[2]), &arena, &bf_json_default_limits, &err) < 0)
		fail(err.text);
	if (bf_price_book_open(&book, &config, &arena) < 0)
		fail("no memory");
	for (uint32_t i = bf_json_first(0); i < t.tokens[0].next; i = t.tokens[i].next)
		tell(&book, &t, i);
	bf_arena_done(&arena);
	return 0;
}
