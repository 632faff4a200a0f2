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

static uint32_t member(const struct bf_json_tape *t, uint32_t object, const char *key)
{
	return object == BF_JSON_NONE ? BF_JSON_NONE : bf_json_member(t, object, key);
}

/* A count; 0: there is none. */
static uint64_t count_of(const struct bf_json_tape *t, uint32_t object, const char *key)
{
	uint32_t i = member(t, object, key);
	int64_t value = 0;

	if (i == BF_JSON_NONE || bf_json_i64(t, i, &value) < 0)
		return 0;
	return value > 0 && value <= (int64_t)OPENAI_TOKENS_MAX ? (uint64_t)value : 0;
}

/* "cost": dollars, or an object with its total_cost. */
static int64_t cost_of(const struct bf_json_tape *t, uint32_t usage)
{
	uint32_t i = member(t, usage, "cost");
	int64_t nusd = 0;

	if (i != BF_JSON_NONE && t->tokens[i].type == BF_JSON_OBJECT)
		i = member(t, i, "total_cost");
	if (i == BF_JSON_NONE || t->tokens[i].type != BF_JSON_NUMBER)
		return 0;
	int r = bf_decimal_parse_nearest(bf_json_raw(t, i), NUSD_DECIMALS, &nusd);
	if (r == BF_E_TYPE && bf_json_raw(t, i).ptr[0] != '-')
		return 1; /* what costs next to nothing is not free */
	if (r < 0)
		return 0;
	return nusd > 0 && nusd <= NUSD_MAX ? nusd : 0;
}

/* As OpenRouter, LiteLLM and Anthropic name it. */
static uint64_t written_of(const struct bf_json_tape *t, uint32_t usage)
{
	static const char *const keys[] = {"cache_write_tokens", "cache_creation_tokens"};
	uint32_t details = member(t, usage, "prompt_tokens_details");
	uint64_t n = count_of(t, usage, "cache_creation_input_tokens");

	if (details == BF_JSON_NONE)
		details = member(t, usage, "input_tokens_details");
	for (size_t i = 0; n == 0 && i < BF_ARRAY_LEN(keys); i++)
		n = count_of(t, details, keys[i]);
	return n;
}

static uint64_t searches_of(const struct bf_json_tape *t, uint32_t usage)
{
	uint64_t n = count_of(t, usage, "num_search_queries");

	return n ? n : count_of(t, member(t, usage, "server_tool_use"), "web_search_requests");
}

void openai_paid_read(const struct bf_json_tape *t, uint32_t root, uint32_t usage,
		      struct bf_arena *scratch, struct openai_said *said)
{
	uint32_t tier = member(t, root, "service_tier");

	if (tier != BF_JSON_NONE && t->tokens[tier].type == BF_JSON_STRING)
		(void)bf_json_string(t, tier, scratch, &said->service_tier);
	if (usage == BF_JSON_NONE || t->tokens[usage].type != BF_JSON_OBJECT)
		return;
	said->paid.cached_write = written_of(t, usage);
	said->paid.cached_write_1hr =
	    count_of(t, member(t, usage, "cache_creation"), "ephemeral_1h_input_tokens");
	said->paid.searches = searches_of(t, usage);
	said->paid.reported_nusd = cost_of(t, usage);
	if (said->cached_tokens == 0)
		said->cached_tokens = count_of(t, usage, "prompt_cache_hit_tokens");
}
