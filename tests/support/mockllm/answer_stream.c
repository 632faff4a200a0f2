/*
 * Renders streams event by event, each in a chunk of its own. Called by conn.c; the bytes around
 * words are made once per answer, because an event is what a benchmark counts.
 */
#include <errno.h>
#include <stdio.h>

#include "common/base/macros.h"
#include "tests/support/mockllm/answer_priv.h"
#include "tests/support/wire/words.h"

/* Before the model, between model and word (Responses events do not name the model), behind. */
static const char *const word_start[ASK_KIND_COUNT] = {
    [ASK_CHAT] = "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":"
		 "1763700000,\"model\":\"",
    [ASK_COMPLETION] = "data: {\"id\":\"cmpl-mock\",\"object\":\"text_completion\",\"created\":"
		       "1763700000,\"model\":\"",
    [ASK_RESPONSES] =
	"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
	"\"item_id\":\"msg_mock\",\"output_index\":0,\"content_index\":0,\"delta\":\"",
};
static const char *const word_middle[ASK_KIND_COUNT] = {
    [ASK_CHAT] = "\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"",
    [ASK_COMPLETION] = "\",\"choices\":[{\"index\":0,\"text\":\"",
};
static const char *const word_end[ASK_KIND_COUNT] = {
    [ASK_CHAT] = "\"},\"finish_reason\":null}]}\n\n",
    [ASK_COMPLETION] = "\",\"finish_reason\":null}]}\n\n",
    [ASK_RESPONSES] = "\"}\n\n",
};

int answer_stream_init(struct answer *a, struct bf_arena *arena)
{
	enum ask_kind k = a->ask.kind;
	bool named = word_middle[k] != NULL;
	struct bf_slice start = bf_slice_from(word_start[k]), end = bf_slice_from(word_end[k]);
	struct bf_slice model = named ? a->ask.model : (struct bf_slice){NULL, 0};
	struct bf_slice middle = bf_slice_from(word_middle[k]);
	size_t bare = start.len + model.len + middle.len + end.len;
	size_t want = (size_t)a->script.event_bytes;
	char size[20] = "";

	a->event_words = (uint64_t)BF_MAX(a->script.event_words, 1);
	if (want > bare + a->event_words * WORD_WIDTH_MIN)
		a->word_width = (uint32_t)((want - bare) / a->event_words);
	if (a->chunked)
		(void)snprintf(size, sizeof(size), "%zx\r\n",
			       bare + a->event_words * a->word_width);
	a->bare_len = bare;
	a->size_len = strlen(size);
	a->prefix = bf_arena_printf(arena, "%s%s%.*s%s", size, start.ptr, BF_SLICE_FMT(model),
				    named ? middle.ptr : "");
	a->suffix = bf_arena_printf(arena, "%s%s", end.ptr, a->chunked ? "\r\n" : "");
	if (!a->prefix || !a->suffix)
		return -ENOMEM;
	a->prefix_len = strlen(a->prefix);
	a->suffix_len = strlen(a->suffix);
	return 0;
}

int answer_stream_head(struct answer *a, struct bf_buf *out)
{
	return bf_buf_printf(out,
			     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
			     "Cache-Control: no-cache\r\n%s\r\n\r\n",
			     a->chunked ? "Transfer-Encoding: chunked" : "Connection: close");
}

/* An event in a chunk of its own. */
static int frame(const struct answer *a, struct bf_buf *out, struct bf_buf *event)
{
	int r = a->chunked ? bf_buf_printf(out, "%zx\r\n", bf_buf_len(event)) : 0;

	r = r < 0 ? r : bf_buf_append_slice(out, bf_buf_slice(event));
	return r < 0 || !a->chunked ? r : bf_buf_append(out, "\r\n", 2);
}

static int preamble(const struct answer *a, struct bf_buf *e)
{
	if (a->ask.kind == ASK_RESPONSES)
		return bf_buf_printf(
		    e,
		    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":"
		    "{\"id\":\"resp_mock\",\"object\":\"response\",\"created_at\":1763700000,"
		    "\"status\":\"in_progress\",\"model\":\"%.*s\",\"output\":[]}}\n\n",
		    BF_SLICE_FMT(a->ask.model));
	return bf_buf_printf(
	    e,
	    "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":"
	    "1763700000,\"model\":\"%.*s\",\"choices\":[{\"index\":0,\"delta\":"
	    "{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
	    BF_SLICE_FMT(a->ask.model));
}

static int finish(const struct answer *a, struct bf_buf *e)
{
	bool chat = a->ask.kind == ASK_CHAT;

	return bf_buf_printf(e,
			     "data: {\"id\":\"%s-mock\",\"object\":\"%s\",\"created\":1763700000,"
			     "\"model\":\"%.*s\",\"choices\":[{\"index\":0,%s,\"finish_reason\":"
			     "\"stop\"}]}\n\n",
			     chat ? "chatcmpl" : "cmpl",
			     chat ? "chat.completion.chunk" : "text_completion",
			     BF_SLICE_FMT(a->ask.model), chat ? "\"delta\":{}" : "\"text\":\"\"");
}

static int usage(const struct answer *a, struct bf_buf *e)
{
	int r =
	    bf_buf_printf(e,
			  "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\","
			  "\"created\":1763700000,\"model\":\"%.*s\",\"choices\":[]",
			  BF_SLICE_FMT(a->ask.model));

	r = r < 0 ? r : answer_usage(a, e);
	return r < 0 ? r : bf_buf_append(e, "}\n\n", 3);
}

static int done(const struct answer *a, struct bf_buf *e)
{
	int r;

	if (a->ask.kind != ASK_RESPONSES)
		return bf_buf_printf(e, "data: [DONE]\n\n");
	r = bf_buf_printf(
	    e,
	    "event: response.completed\ndata: {\"type\":\"response.completed\","
	    "\"response\":{\"id\":\"resp_mock\",\"object\":\"response\",\"created_at\":"
	    "1763700000,\"status\":\"completed\",\"model\":\"%.*s\",\"output\":[]",
	    BF_SLICE_FMT(a->ask.model));
	r = r < 0 ? r : answer_usage(a, e);
	return r < 0 ? r : bf_buf_append(e, "}}\n\n", 4);
}

/* The next event with words; only the last can have fewer than the prefix tells the size of. */
static int append_words(struct answer *a, struct bf_buf *out, uint32_t *ret_words)
{
	uint64_t count = BF_MIN(a->event_words, a->words - a->next_word);
	size_t text = count * a->word_width;
	bool fewer = a->chunked && count < a->event_words;
	size_t skip = fewer ? a->size_len : 0;
	int r = fewer ? bf_buf_printf(out, "%zx\r\n", a->bare_len + text) : 0;
	char *at;

	r = r < 0 ? r : bf_buf_reserve(out, a->prefix_len + text + a->suffix_len);
	if (r < 0)
		return r;
	at = out->data + out->end;
	memcpy(at, a->prefix + skip, a->prefix_len - skip);
	at += a->prefix_len - skip;
	for (uint64_t i = 0; i < count; i++, at += a->word_width)
		words_write(at, a->word_width, a->ask.hash, a->next_word++);
	memcpy(at, a->suffix, a->suffix_len);
	out->end += a->prefix_len - skip + text + a->suffix_len;
	*ret_words = (uint32_t)count;
	return 0;
}

/* Does this step have an event in this answer? */
static bool has(const struct answer *a, enum answer_step step)
{
	bool chat = a->ask.kind == ASK_CHAT, responses = a->ask.kind == ASK_RESPONSES;
	bool tells = !responses && a->ask.include_usage && a->script.usage != SCRIPT_USAGE_NONE;
	bool late = a->script.usage == SCRIPT_USAGE_LATE;

	switch (step) {
	case ANSWER_PREAMBLE:
		return chat || responses;
	case ANSWER_WORDS:
		return a->next_word < a->words;
	case ANSWER_FINISH:
		return !responses;
	case ANSWER_USAGE:
		return tells && !late;
	case ANSWER_DONE:
		return a->script.done;
	case ANSWER_LATE_USAGE:
		return tells && late;
	case ANSWER_LAST_CHUNK:
		return a->chunked;
	case ANSWER_OVER:
		break;
	}
	return true;
}

static int (*const writers[])(const struct answer *a, struct bf_buf *e) = {
    [ANSWER_PREAMBLE] = preamble, [ANSWER_FINISH] = finish,    [ANSWER_USAGE] = usage,
    [ANSWER_DONE] = done,         [ANSWER_LATE_USAGE] = usage,
};

int answer_stream_next(struct answer *a, struct bf_buf *out, bool *ret_event, uint32_t *ret_words)
{
	struct bf_buf event;
	int r;

	while (!has(a, a->step))
		a->step++;
	*ret_event = a->step < ANSWER_LAST_CHUNK;
	*ret_words = 0;
	if (a->step == ANSWER_OVER)
		return 0;
	if (a->step == ANSWER_WORDS) {
		r = append_words(a, out, ret_words);
		return r < 0 ? r : 1;
	}
	if (a->step == ANSWER_LAST_CHUNK) {
		r = bf_buf_append(out, "0\r\n\r\n", 5);
	} else {
		bf_buf_init(&event, 64u << 10);
		r = writers[a->step](a, &event);
		r = r < 0 ? r : frame(a, out, &event);
		bf_buf_done(&event);
	}
	a->step++;
	return r < 0 ? r : 1;
}
