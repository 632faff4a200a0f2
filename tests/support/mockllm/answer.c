/*
 * Decides what an answer is and renders plain ones. Called by conn.c; must put numbers into the
 * answer only through completion_tokens and prompt_tokens, which the ledger tells too.
 */
#include "tests/support/mockllm/answer.h"

#include <errno.h>

#include "common/base/macros.h"
#include "tests/support/mockllm/answer_priv.h"
#include "tests/support/wire/words.h"

#define EVENTS_DEFAULT 10
#define WORD_DEFAULT   10u
#define NUMBERS_MAX    1536

static const struct {
	int status;
	const char *reason;
} reasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
};

const char *answer_reason(int status)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Status";
}

static int status_for(const struct script *s, struct bf_slice bearer, uint64_t asked_before)
{
	for (uint32_t i = 0; i < s->key_count; i++) {
		if (bf_slice_eq(s->keys[i].key, bearer))
			return (int)s->keys[i].status;
	}
	if (s->fail_first > 0) {
		if (asked_before >= (uint64_t)s->fail_first)
			return 200;
		return s->status ? (int)s->status : 500;
	}
	return s->status ? (int)s->status : 200;
}

/* How many words of which width: n says how many, size how many bytes, each gives the other. */
static void plan_words(struct answer *a)
{
	const struct script *s = &a->script;
	uint64_t size = a->stream ? 0 : (uint64_t)s->size_bytes;

	a->word_width = WORD_DEFAULT;
	a->words = (uint64_t)s->events;
	if (!a->words)
		a->words = size ? BF_MAX(size / WORD_DEFAULT, 1) : EVENTS_DEFAULT;
	if (size / a->words > WORD_DEFAULT)
		a->word_width = (uint32_t)(size / a->words);
	if (a->ask.kind == ASK_EMBEDDING || a->ask.kind == ASK_MODELS)
		a->words = 0;
	if (s->echo && !a->stream)
		a->words = 0;
}

int answer_init(struct answer *a, const struct script *s, const struct ask *ask,
		struct bf_slice bearer, uint64_t asked_before, struct bf_arena *arena)
{
	*a = (struct answer){.script = *s, .ask = *ask};
	a->status = status_for(s, bearer, asked_before);
	a->stream = a->status == 200 && ask->stream && ask->kind != ASK_EMBEDDING && !s->garbage;
	a->chunked = a->stream ? s->chunked != 0 : s->chunked == 1;
	a->close = a->stream && !a->chunked;
	plan_words(a);
	a->prompt_tokens =
	    s->prompt_tokens >= 0 ? (uint64_t)s->prompt_tokens : words_prompt_tokens(ask->user);
	a->completion_tokens = a->words;
	if (a->status != 200 || ask->kind == ASK_MODELS)
		a->words = a->prompt_tokens = a->completion_tokens = 0;
	return a->stream ? answer_stream_init(a, arena) : 0;
}

static int usage_number(struct bf_buf *out, const char *key, int64_t value)
{
	return value ? bf_buf_printf(out, ",\"%s\":%lld", key, (long long)value) : 0;
}

static int usage_details(const struct script *s, bool responses, struct bf_buf *out)
{
	int r = 0;

	if (s->cached || s->heard)
		r = bf_buf_printf(out, ",\"%s\":{\"cached_tokens\":%lld,\"audio_tokens\":%lld}",
				  responses ? "input_tokens_details" : "prompt_tokens_details",
				  (long long)s->cached, (long long)s->heard);
	if (r == 0 && (s->spoken || s->thought))
		r = bf_buf_printf(out, ",\"%s\":{\"reasoning_tokens\":%lld,\"audio_tokens\":%lld}",
				  responses ? "output_tokens_details" : "completion_tokens_details",
				  (long long)s->thought, (long long)s->spoken);
	return r;
}

/* What else it costs, as OpenRouter and Anthropic tell it. */
static int usage_paid(const struct script *s, bool responses, struct bf_buf *out)
{
	int r = usage_number(out, "num_search_queries", s->searches);

	if (r == 0)
		r = usage_number(out, "cache_creation_input_tokens", s->written);
	if (r == 0)
		r = usage_details(s, responses, out);
	if (r == 0 && s->written_1hr)
		r = bf_buf_printf(out, ",\"cache_creation\":{\"ephemeral_1h_input_tokens\":%lld}",
				  (long long)s->written_1hr);
	if (r == 0 && s->cost_nusd)
		r = bf_buf_printf(out, ",\"cost\":%llde-9", (long long)s->cost_nusd);
	return r;
}

int answer_usage(const struct answer *a, struct bf_buf *out)
{
	bool responses = a->ask.kind == ASK_RESPONSES;
	const char *in = responses ? "input_tokens" : "prompt_tokens";
	const char *made = responses ? "output_tokens" : "completion_tokens";
	unsigned long long p = a->prompt_tokens, c = a->completion_tokens;

	switch ((enum script_usage)a->script.usage) {
	case SCRIPT_USAGE_NONE:
		return 0;
	case SCRIPT_USAGE_WRONG:
		return bf_buf_printf(out,
				     ",\"usage\":{\"%s\":-%llu,\"%s\":1.5e30,\"total_tokens\":0.5}",
				     in, p, made);
	case SCRIPT_USAGE_STRING:
		return bf_buf_printf(
		    out, ",\"usage\":{\"%s\":\"%llu\",\"%s\":\"%llu\",\"total_tokens\":\"%llu\"}",
		    in, p, made, c, p + c);
	case SCRIPT_USAGE_RIGHT:
	case SCRIPT_USAGE_LATE:
	case SCRIPT_USAGE_COUNT:
		break;
	}
	int r = bf_buf_printf(out, ",\"usage\":{\"%s\":%llu,\"%s\":%llu,\"total_tokens\":%llu", in,
			      p, made, c, p + c);
	r = r < 0 ? r : usage_paid(&a->script, responses, out);
	r = r < 0 ? r : bf_buf_append(out, "}", 1);
	if (r < 0 || a->script.tier == 0)
		return r;
	return bf_buf_printf(out, ",\"service_tier\":\"%s\"", script_tiers[a->script.tier]);
}

#define CREATED "1763700000"

static const char *const before_text[ASK_KIND_COUNT] = {
    [ASK_CHAT] = "\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":"
		 "{\"role\":\"assistant\",\"content\":\"",
    [ASK_COMPLETION] = "\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"text\":\"",
    [ASK_EMBEDDING] = "\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[",
    [ASK_RESPONSES] =
	"\",\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"id\":\"msg_mock\","
	"\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
	"\"annotations\":[],\"text\":\"",
};
static const char *const after_text[ASK_KIND_COUNT] = {
    [ASK_CHAT] = "\"}}]",
    [ASK_COMPLETION] = "\"}]",
    [ASK_EMBEDDING] = "]}]",
    [ASK_RESPONSES] = "\"}]}]",
};
static const char *const start_text[ASK_KIND_COUNT] = {
    [ASK_CHAT] = "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":" CREATED
		 ",\"model\":\"",
    [ASK_COMPLETION] =
	"{\"id\":\"cmpl-mock\",\"object\":\"text_completion\",\"created\":" CREATED ",\"model\":\"",
    [ASK_EMBEDDING] = "{\"object\":\"list\",\"model\":\"",
    [ASK_RESPONSES] =
	"{\"id\":\"resp_mock\",\"object\":\"response\",\"created_at\":" CREATED ",\"model\":\"",
};

static int append_text(const struct answer *a, struct bf_buf *out)
{
	uint64_t numbers = a->script.size_bytes ? (uint64_t)a->script.size_bytes : NUMBERS_MAX;
	int r = 0;

	if (a->ask.kind == ASK_EMBEDDING) {
		for (uint64_t i = 0; i < numbers && r == 0; i++)
			r = bf_buf_printf(out, "%s0.%03u", i ? "," : "",
					  (unsigned)((a->ask.hash + i) % 1000));
		return r;
	}
	if (a->script.echo)
		return bf_buf_append_slice(out, a->ask.last_text);
	r = bf_buf_reserve(out, a->words * a->word_width);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < a->words; i++) {
		words_write(out->data + out->end, a->word_width, a->ask.hash, i);
		out->end += a->word_width;
	}
	return 0;
}

/* Any name is served; these are told. */
#define MODELS                                                                         \
	"{\"object\":\"list\",\"data\":[{\"id\":\"mock-small\",\"object\":\"model\"}," \
	"{\"id\":\"mock-large\",\"object\":\"model\"}]}"

static int append_body(struct answer *a, struct bf_buf *out)
{
	enum ask_kind k = a->ask.kind;
	int r;

	if (k == ASK_MODELS)
		return bf_buf_append_slice(out, BF_SLICE_LIT(MODELS));
	r = bf_buf_append_slice(out, bf_slice_from(start_text[k]));

	r = r < 0 ? r : bf_buf_append_slice(out, a->ask.model);
	r = r < 0 ? r : bf_buf_append_slice(out, bf_slice_from(before_text[k]));
	if (r < 0)
		return r;
	a->text_at = bf_buf_len(out);
	r = append_text(a, out);
	r = r < 0 ? r : bf_buf_append_slice(out, bf_slice_from(after_text[k]));
	r = r < 0 ? r : answer_usage(a, out);
	return r < 0 ? r : bf_buf_append(out, "}", 1);
}

static int append_error(struct bf_buf *out, int status, const char *text)
{
	return bf_buf_printf(
	    out,
	    "{\"error\":{\"message\":\"%s\",\"type\":\"mock_error\",\"param\":null,"
	    "\"code\":\"mock_%d\"}}",
	    text, status);
}

static int append_head(const struct answer *a, struct bf_buf *out, size_t body_len)
{
	const char *kind = a->script.body == SCRIPT_BODY_TEXT ? "text/plain" : "application/json";
	int r = bf_buf_printf(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n", a->status,
			      answer_reason(a->status), kind);

	if (r == 0 && a->script.retry_after_s >= 0)
		r = bf_buf_printf(out, "Retry-After: %lld\r\n", (long long)a->script.retry_after_s);
	if (r < 0)
		return r;
	return a->chunked ? bf_buf_printf(out, "Transfer-Encoding: chunked\r\n\r\n")
			  : bf_buf_printf(out, "Content-Length: %zu\r\n\r\n", body_len);
}

/* A chunked answer is one chunk: the words stay where they were counted. */
static int wrap(struct answer *a, struct bf_buf *out, struct bf_buf *body)
{
	size_t len = bf_buf_len(body), before = bf_buf_len(out);
	int r = append_head(a, out, len);

	if (r == 0 && a->chunked && len)
		r = bf_buf_printf(out, "%zx\r\n", len);
	if (r < 0)
		return r;
	a->text_at += bf_buf_len(out) - before;
	r = bf_buf_append_slice(out, bf_buf_slice(body));
	if (r == 0 && a->chunked)
		r = bf_buf_printf(out, "%s0\r\n\r\n", len ? "\r\n" : "");
	return r;
}

int answer_plain(struct answer *a, struct bf_buf *out)
{
	struct bf_buf body;
	int r = 0;

	if (a->script.garbage)
		return bf_buf_printf(out, "%c%c%cthis is not HTTP\n\r\n\r", 0x16, 3, 1);
	bf_buf_init(&body, out->max_bytes);
	if (a->script.body == SCRIPT_BODY_TEXT)
		r = bf_buf_printf(&body, "something went %s here",
				  a->status == 200 ? "well" : "wrong");
	else if (a->script.body == SCRIPT_BODY_JSON)
		r = a->status == 200 ? append_body(a, &body)
				     : append_error(&body, a->status, "as the script wants it");
	if (a->script.body != SCRIPT_BODY_JSON)
		a->words = a->completion_tokens = a->prompt_tokens = 0;
	r = r < 0 ? r : wrap(a, out, &body);
	bf_buf_done(&body);
	return r;
}

int answer_refusal(struct bf_buf *out, int status, const char *text)
{
	struct answer a = {.status = status, .script = script_default};
	struct bf_buf body;
	int r;

	bf_buf_init(&body, 4096);
	r = append_error(&body, status, text);
	r = r < 0 ? r : wrap(&a, out, &body);
	bf_buf_done(&body);
	return r;
}
