/*
 * Words and header lines about limits. Called by limits.c. Must never name a key by its value.
 * Lines are paid for by every request of a limited key, so they are put together by hand.
 */
#include "proxyd/gate/limits_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"

#define NUSD_PER_USD INT64_C(1000000000)
#define RATELIMIT    BF_SLICE_LIT("x-ratelimit-")

unsigned limits_text_retry_s(const struct bf_limit *limit, int64_t ends_in_ms)
{
	if (limit->endless || ends_in_ms <= 1000)
		return 1;
	return (unsigned)BF_MIN((ends_in_ms + 999) / 1000, INT32_MAX);
}

/* ---- refusals */

/* Dollars with four decimals, rounded to the nearest. */
static const char *dollars(int64_t nusd, char out[32])
{
	int64_t parts = nusd / 100000 + (nusd % 100000 >= 50000 ? 1 : 0);

	(void)snprintf(out, 32, "$%" PRId64 ".%04d", parts / 10000, (int)(parts % 10000));
	return out;
}

static const struct {
	int http_status;
	const char *type, *what;
} refusals[] = {
    [BF_QUANTITY_REQUESTS] = {429, "request_limited", "request limit exceeded"},
    [BF_QUANTITY_TOKENS] = {429, "token_limited", "token limit exceeded"},
    [BF_QUANTITY_CONCURRENT] = {429, "rate_limited", "too many requests at once"},
    [BF_QUANTITY_NUSD] = {402, "budget_exceeded", "budget exceeded"},
};

/* An amount as people read it: tokens or dollars. */
static const char *amount_text(const struct bf_limit *limit, int64_t amount, char out[32])
{
	if (limit->quantity == BF_QUANTITY_NUSD)
		return dollars(amount, out);
	(void)snprintf(out, 32, "%" PRId64, amount);
	return out;
}

/* Tokens and dollars: a request wants as many as it may take. */
static void text_of_amounts(const struct bf_limit *limit, const struct limits_state *state,
			    char *text, size_t size)
{
	bool budget = limit->quantity == BF_QUANTITY_NUSD;
	const char *takes = budget ? "cost" : "take", *unit = budget ? "" : " tokens";
	char used[32], max[32], amount[32];
	int n;

	(void)amount_text(limit, state->used, used);
	(void)amount_text(limit, state->max, max);
	(void)amount_text(limit, state->amount, amount);
	if (state->amount > state->max) {
		(void)snprintf(text, size,
			       "this request may %s %s%s and the limit is %s per %.*s: lower "
			       "max_tokens or shorten the prompt",
			       takes, amount, unit, max, BF_SLICE_FMT(limit->reset));
		return;
	}
	n = snprintf(text, size, "%s%s%s%s used or reserved per %.*s", used, budget ? " of " : "/",
		     max, unit, BF_SLICE_FMT(limit->reset));
	if (state->amount > 0 && n > 0 && (size_t)n < size)
		(void)snprintf(text + n, size - (size_t)n, ", this request may %s %s", takes,
			       amount);
}

static void text_of_requests(const struct bf_limit *limit, const struct limits_state *state,
			     char *text, size_t size)
{
	(void)snprintf(text, size, "%" PRId64 "/%" PRId64 "%s%.*s", state->used, state->max,
		       limit->endless ? "" : " requests per ", BF_SLICE_FMT(limit->reset));
}

const char *limits_text_owner(const struct bf_limit *limit)
{
	static const char *const names[] = {
	    [BF_OWNER_PROVIDER] = "provider",
	    [BF_OWNER_MODEL_CONFIG] = "model",
	    [BF_OWNER_PROVIDER_CONFIG] = "provider of the virtual key",
	    [BF_OWNER_VIRTUAL_KEY] = "virtual key",
	    [BF_OWNER_TEAM] = "team",
	    [BF_OWNER_CUSTOMER] = "customer",
	};

	return names[limit->owner];
}

static void copy_id(char out[64], struct bf_slice id)
{
	if (id.len)
		memcpy(out, id.ptr, BF_MIN(id.len, 64u));
}

struct shm_usage_blame limits_text_blame(const struct bf_limit *limit)
{
	struct shm_usage_blame blame = {.owner = (uint8_t)(limit->owner + 1),
					.quantity = (uint8_t)limit->quantity};

	copy_id(blame.owner_id, limit->owner_id);
	copy_id(blame.limit_id, limit->limit_id);
	return blame;
}

void limits_text_refusal(const struct bf_limit *limit, const struct limits_state *state,
			 int64_t ends_in_ms, struct limits_refusal *no)
{
	bool amounts = limit->quantity == BF_QUANTITY_TOKENS || limit->quantity == BF_QUANTITY_NUSD;
	size_t at;

	no->blame = limits_text_blame(limit);
	no->http_status = refusals[limit->quantity].http_status;
	no->type = refusals[limit->quantity].type;
	no->retry_after_s = state->amount > state->max ? 0 : limits_text_retry_s(limit, ends_in_ms);
	(void)snprintf(no->text, sizeof(no->text), "%s \"%.*s\": %s: ", limits_text_owner(limit),
		       (int)BF_MIN(limit->owner_name.len, 100u),
		       limit->owner_name.ptr ? limit->owner_name.ptr : "",
		       refusals[limit->quantity].what);
	at = strlen(no->text);
	if (amounts)
		text_of_amounts(limit, state, no->text + at, sizeof(no->text) - at);
	else
		text_of_requests(limit, state, no->text + at, sizeof(no->text) - at);
}

/* ---- header lines */

/* From their end to their beginning: so a number needs no counting and no copy. */
static char *put(char *end, struct bf_slice text)
{
	return memcpy(end - text.len, text.ptr, text.len);
}

static char *put_number(char *end, int64_t value)
{
	return bf_format_u64_before(end, value > 0 ? (uint64_t)value : 0);
}

/* Tenths of a second, rounded up: who waits so long has waited long enough. */
static char *put_seconds(char *end, int64_t ms)
{
	uint64_t tenths = ms > 0 ? ((uint64_t)ms + 99) / 100 : 0;

	*--end = 's';
	if (tenths % 10) {
		*--end = (char)('0' + tenths % 10);
		*--end = '.';
	}
	return put_number(end, (int64_t)(tenths / 10));
}

struct left_names {
	struct bf_slice limit, remaining, reset;
};

#define LEFT_NAMES(what)                                                   \
	{                                                                  \
		BF_SLICE_INIT("x-ratelimit-limit-" what ": "),             \
		    BF_SLICE_INIT("\r\nx-ratelimit-remaining-" what ": "), \
		    BF_SLICE_INIT("\r\nx-ratelimit-reset-" what ": "),     \
	}

static char *put_left(char *end, const struct limits_left *l, const struct left_names *names)
{
	if (!l->limit)
		return end;
	end = put_seconds(put(end, BF_SLICE_LIT("\r\n")), l->ends_in_ms);
	end = put_number(put(end, names->reset), l->left);
	end = put_number(put(end, names->remaining), l->max);
	return put(end, names->limit);
}

struct bf_slice limits_text_lines(char out[LIMITS_TEXT_LINES_MAX],
				  const struct limits_left *requests,
				  const struct limits_left *tokens)
{
	static const struct left_names of_requests = LEFT_NAMES("requests"),
				       of_tokens = LEFT_NAMES("tokens");
	char *end = out + LIMITS_TEXT_LINES_MAX;
	char *at = put_left(put_left(end, tokens, &of_tokens), requests, &of_requests);

	return (struct bf_slice){at, (size_t)(end - at)};
}

/* ---- among other lines */

static char *append(char *at, struct bf_slice text)
{
	memcpy(at, text.ptr, text.len);
	return at + text.len;
}

struct bf_slice limits_text_merge(struct bf_arena *arena, struct bf_slice theirs,
				  struct bf_slice ours)
{
	char *text, *at;

	if (theirs.len == 0 || ours.len == 0)
		return theirs.len ? theirs : ours;
	at = text = bf_arena_alloc(arena, theirs.len + ours.len);
	if (!text)
		return theirs;
	while (theirs.len) {
		const char *end = memchr(theirs.ptr, '\n', theirs.len);
		size_t n = end ? (size_t)(end - theirs.ptr) + 1 : theirs.len;
		struct bf_slice line = {theirs.ptr, n};

		if (!bf_slice_starts_nocase(line, RATELIMIT))
			at = append(at, line);
		theirs = (struct bf_slice){theirs.ptr + n, theirs.len - n};
	}
	at = append(at, ours);
	return (struct bf_slice){text, (size_t)(at - text)};
}
