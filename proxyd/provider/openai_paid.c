/*
 * Reads what else an answer costs: what was written to a cache, searches, the tier it was served
 * at, and what the provider itself says that it costs. Called with every usage. Must never fail an
 * answer: what cannot be read is not there.
 */
#include "proxyd/provider/openai_paid.h"

#include "common/base/macros.h"
#include "common/schema/decimal.h"

#define NUSD_DECIMALS 9u
#define NUSD_MAX      INT64_C(1000000000000000) /* a million dollars for one answer is no cost */

/* Members of usage. */
enum paid_member {
	PAID_COST,
	PAID_COST_DETAILS,
	PAID_BYOK,
	PAID_WRITTEN,
	PAID_SEARCHES,
	PAID_TOOL_USE,
	PAID_CREATION,
	PAID_CACHE_HIT,
	PAID_PROMPT_DETAILS,
	PAID_INPUT_DETAILS,
	PAID_COMPLETION_DETAILS,
	PAID_OUTPUT_DETAILS,
	PAID_COUNT,
};

static const struct bf_slice paid_keys[] = {
    [PAID_COST] = BF_SLICE_INIT("cost"),
    [PAID_COST_DETAILS] = BF_SLICE_INIT("cost_details"),
    [PAID_BYOK] = BF_SLICE_INIT("is_byok"),
    [PAID_WRITTEN] = BF_SLICE_INIT("cache_creation_input_tokens"),
    [PAID_SEARCHES] = BF_SLICE_INIT("num_search_queries"),
    [PAID_TOOL_USE] = BF_SLICE_INIT("server_tool_use"),
    [PAID_CREATION] = BF_SLICE_INIT("cache_creation"),
    [PAID_CACHE_HIT] = BF_SLICE_INIT("prompt_cache_hit_tokens"),
    [PAID_PROMPT_DETAILS] = BF_SLICE_INIT("prompt_tokens_details"),
    [PAID_INPUT_DETAILS] = BF_SLICE_INIT("input_tokens_details"),
    [PAID_COMPLETION_DETAILS] = BF_SLICE_INIT("completion_tokens_details"),
    [PAID_OUTPUT_DETAILS] = BF_SLICE_INIT("output_tokens_details"),
};

/* A count; 0: there is none. */
static uint64_t count_at(const struct bf_json_tape *t, uint32_t i)
{
	int64_t value = 0;

	if (i == BF_JSON_NONE || bf_json_i64(t, i, &value) < 0)
		return 0;
	return value > 0 && value <= (int64_t)OPENAI_TOKENS_MAX ? (uint64_t)value : 0;
}

/* Of what may be no object. */
static uint64_t count_of(const struct bf_json_tape *t, uint32_t object, const char *key)
{
	return object == BF_JSON_NONE ? 0 : count_at(t, bf_json_member(t, object, key));
}

/* "cost": dollars, or an object with its total_cost. */
static int64_t cost_at(const struct bf_json_tape *t, uint32_t i)
{
	int64_t nusd = 0;

	if (i != BF_JSON_NONE && t->tokens[i].type == BF_JSON_OBJECT)
		i = bf_json_member(t, i, "total_cost");
	if (i == BF_JSON_NONE || t->tokens[i].type != BF_JSON_NUMBER)
		return 0;
	int r = bf_decimal_parse_nearest(bf_json_raw(t, i), NUSD_DECIMALS, &nusd);
	if (r == BF_E_TYPE && bf_json_raw(t, i).ptr[0] != '-')
		return 1; /* what costs next to nothing is not free */
	if (r < 0)
		return 0;
	return nusd > 0 && nusd <= NUSD_MAX ? nusd : 0;
}

/* At OpenRouter, of a request with a key of one's own at the upstream, "cost" is only what passing
 * it on costs. */
static int64_t cost_of(const struct bf_json_tape *t, const uint32_t *members)
{
	int64_t nusd = cost_at(t, members[PAID_COST]);
	uint32_t byok = members[PAID_BYOK], details = members[PAID_COST_DETAILS];

	if (byok == BF_JSON_NONE || t->tokens[byok].type != BF_JSON_TRUE ||
	    details == BF_JSON_NONE || t->tokens[details].type != BF_JSON_OBJECT)
		return nusd;
	return nusd + cost_at(t, bf_json_member(t, details, "upstream_inference_cost"));
}

static uint32_t either(const uint32_t *members, enum paid_member a, enum paid_member b)
{
	return members[a] != BF_JSON_NONE ? members[a] : members[b];
}

/* As OpenRouter, LiteLLM and Anthropic name it. */
static uint64_t written_of(const struct bf_json_tape *t, const uint32_t *members)
{
	static const struct bf_slice keys[] = {BF_SLICE_INIT("cache_write_tokens"),
					       BF_SLICE_INIT("cache_creation_tokens")};
	uint32_t details = either(members, PAID_PROMPT_DETAILS, PAID_INPUT_DETAILS);
	uint32_t at[BF_ARRAY_LEN(keys)];
	uint64_t n = count_at(t, members[PAID_WRITTEN]);

	if (n || details == BF_JSON_NONE)
		return n;
	bf_json_find_all(t, details, keys, BF_ARRAY_LEN(keys), at);
	n = count_at(t, at[0]);
	return n ? n : count_at(t, at[1]);
}

static uint64_t searches_of(const struct bf_json_tape *t, const uint32_t *members)
{
	uint64_t n = count_at(t, members[PAID_SEARCHES]);

	return n ? n : count_of(t, members[PAID_TOOL_USE], "web_search_requests");
}

/* Sound, and thoughts. */
static void read_kinds(const struct bf_json_tape *t, const uint32_t *members,
		       struct bf_price_usage *paid)
{
	static const struct bf_slice keys[] = {BF_SLICE_INIT("audio_tokens"),
					       BF_SLICE_INIT("reasoning_tokens")};
	uint32_t details = either(members, PAID_COMPLETION_DETAILS, PAID_OUTPUT_DETAILS);
	uint32_t at[BF_ARRAY_LEN(keys)];

	paid->audio_prompt =
	    count_of(t, either(members, PAID_PROMPT_DETAILS, PAID_INPUT_DETAILS), "audio_tokens");
	if (details == BF_JSON_NONE)
		return;
	bf_json_find_all(t, details, keys, BF_ARRAY_LEN(keys), at);
	paid->audio_completion = count_at(t, at[0]);
	paid->reasoning = count_at(t, at[1]);
}

void openai_paid_read(const struct bf_json_tape *t, uint32_t usage, struct openai_said *said)
{
	uint32_t members[PAID_COUNT];

	bf_json_find_all(t, usage, paid_keys, PAID_COUNT, members);
	said->paid.cached_write = written_of(t, members);
	said->paid.cached_write_1hr =
	    count_of(t, members[PAID_CREATION], "ephemeral_1h_input_tokens");
	said->paid.searches = searches_of(t, members);
	read_kinds(t, members, &said->paid);
	said->paid.reported_nusd = cost_of(t, members);
	if (said->cached_tokens == 0)
		said->cached_tokens = count_at(t, members[PAID_CACHE_HIT]);
}
