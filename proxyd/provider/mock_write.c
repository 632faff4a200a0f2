/*
 * JSON of the mock provider. Called by mock.c alone. Must never differ between two runs but for id
 * and time.
 */
#include "proxyd/provider/mock_write.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/macros.h"
#include "common/codec/json_writer.h"

static void put_str(struct bf_json_writer *j, const char *key, const char *value)
{
	bf_jw_key(j, key);
	bf_jw_cstr(j, value);
}

static void put_num(struct bf_json_writer *j, const char *key, uint64_t value)
{
	bf_jw_key(j, key);
	bf_jw_u64(j, value);
}

static void put_id(struct bf_json_writer *j, const char *key, const char *prefix,
		   const struct mock_words *w)
{
	char id[MOCK_ID_MAX + 16];

	(void)snprintf(id, sizeof(id), "%s%s", prefix, w->id);
	put_str(j, key, id);
}

/* ---- events */

/* name NULL: an event without one. Returns where its data begins, or a code. */
static ssize_t event_begin(struct bf_buf *out, const char *name)
{
	int r = name ? bf_buf_printf(out, "event: %s\n", name) : 0;

	if (r == 0)
		r = bf_buf_append_slice(out, BF_SLICE_LIT("data: "));
	return r < 0 ? r : (ssize_t)bf_buf_len(out);
}

static int event_end(struct bf_buf *out, struct bf_json_writer *j, ssize_t begin,
		     struct bf_slice *ret_json)
{
	int r = bf_jw_finish(j);
	size_t end = bf_buf_len(out);

	if (r == 0)
		r = bf_buf_append_slice(out, BF_SLICE_LIT("\n\n"));
	if (r == 0 && ret_json)
		*ret_json = (struct bf_slice){bf_buf_slice(out).ptr + begin, end - (size_t)begin};
	return r;
}

/* ---- chat and text completions */

static bool is_chat(const struct mock_words *w)
{
	return w->object == SHM_OBJECT_CHAT;
}

/* What a choice says; what is NULL is not said. */
struct said {
	const char *role;
	const struct bf_slice *text;
	const char *finish_reason;
};

static void choices_head(struct bf_json_writer *j, const struct mock_words *w, bool chunk)
{
	bf_jw_object(j);
	put_id(j, "id", is_chat(w) ? "chatcmpl-" : "cmpl-", w);
	put_str(j, "object",
		!is_chat(w) ? "text_completion"
		: chunk     ? "chat.completion.chunk"
			    : "chat.completion");
	bf_jw_key(j, "created");
	bf_jw_i64(j, w->created_s);
	bf_jw_key(j, "model");
	bf_jw_string(j, w->model);
}

static void choice(struct bf_json_writer *j, const struct mock_words *w, bool chunk,
		   const struct said *said)
{
	bf_jw_object(j);
	put_num(j, "index", 0);
	if (is_chat(w)) {
		bf_jw_key(j, chunk ? "delta" : "message");
		bf_jw_object(j);
	}
	if (said->role && is_chat(w))
		put_str(j, "role", said->role);
	if (said->text) {
		bf_jw_key(j, is_chat(w) ? "content" : "text");
		bf_jw_string(j, *said->text);
	}
	if (is_chat(w))
		bf_jw_end_object(j);
	bf_jw_key(j, "finish_reason");
	if (said->finish_reason)
		bf_jw_cstr(j, said->finish_reason);
	else
		bf_jw_null(j);
	bf_jw_end_object(j);
}

static void put_usage(struct bf_json_writer *j, const struct mock_words *w)
{
	bf_jw_key(j, "usage");
	bf_jw_object(j);
	put_num(j, "prompt_tokens", w->prompt_tokens);
	put_num(j, "completion_tokens", w->completion_tokens);
	put_num(j, "total_tokens", w->prompt_tokens + w->completion_tokens);
	bf_jw_end_object(j);
}

/* said NULL: no choice. */
static void choices_object(struct bf_json_writer *j, const struct mock_words *w, bool chunk,
			   const struct said *said, bool usage)
{
	choices_head(j, w, chunk);
	bf_jw_key(j, "choices");
	bf_jw_array(j);
	if (said)
		choice(j, w, chunk, said);
	bf_jw_end_array(j);
	if (usage)
		put_usage(j, w);
	bf_jw_end_object(j);
}

static int choices_event(struct bf_buf *out, const struct mock_words *w, const struct said *said,
			 bool usage, struct bf_slice *ret_json)
{
	struct bf_json_writer j;
	ssize_t begin = event_begin(out, NULL);

	if (begin < 0)
		return (int)begin;
	bf_jw_init(&j, out);
	choices_object(&j, w, true, said, usage);
	return event_end(out, &j, begin, ret_json);
}

/* ---- responses */

static void response_part(struct bf_json_writer *j, struct bf_slice text)
{
	bf_jw_object(j);
	put_str(j, "type", "output_text");
	bf_jw_key(j, "text");
	bf_jw_string(j, text);
	bf_jw_key(j, "annotations");
	bf_jw_array(j);
	bf_jw_end_array(j);
	bf_jw_end_object(j);
}

static void response_item(struct bf_json_writer *j, const struct mock_words *w,
			  const struct bf_slice *text)
{
	bf_jw_object(j);
	put_str(j, "type", "message");
	put_id(j, "id", "msg_", w);
	put_str(j, "status", text ? "completed" : "in_progress");
	put_str(j, "role", "assistant");
	bf_jw_key(j, "content");
	bf_jw_array(j);
	if (text)
		response_part(j, *text);
	bf_jw_end_array(j);
	bf_jw_end_object(j);
}

static void response_usage(struct bf_json_writer *j, const struct mock_words *w)
{
	bf_jw_object(j);
	put_num(j, "input_tokens", w->prompt_tokens);
	bf_jw_key(j, "input_tokens_details");
	bf_jw_object(j);
	put_num(j, "cached_tokens", 0);
	bf_jw_end_object(j);
	put_num(j, "output_tokens", w->completion_tokens);
	bf_jw_key(j, "output_tokens_details");
	bf_jw_object(j);
	put_num(j, "reasoning_tokens", 0);
	bf_jw_end_object(j);
	put_num(j, "total_tokens", w->prompt_tokens + w->completion_tokens);
	bf_jw_end_object(j);
}

/* text NULL: it has just begun. */
static void response_object(struct bf_json_writer *j, const struct mock_words *w,
			    const struct bf_slice *text)
{
	bf_jw_object(j);
	put_id(j, "id", "resp_", w);
	put_str(j, "object", "response");
	bf_jw_key(j, "created_at");
	bf_jw_i64(j, w->created_s);
	put_str(j, "status", text ? "completed" : "in_progress");
	bf_jw_key(j, "error");
	bf_jw_null(j);
	bf_jw_key(j, "incomplete_details");
	bf_jw_null(j);
	bf_jw_key(j, "model");
	bf_jw_string(j, w->model);
	bf_jw_key(j, "output");
	bf_jw_array(j);
	if (text)
		response_item(j, w, text);
	bf_jw_end_array(j);
	bf_jw_key(j, "parallel_tool_calls");
	bf_jw_bool(j, true);
	put_str(j, "tool_choice", "auto");
	bf_jw_key(j, "tools");
	bf_jw_array(j);
	bf_jw_end_array(j);
	bf_jw_key(j, "usage");
	if (text)
		response_usage(j, w);
	else
		bf_jw_null(j);
	bf_jw_end_object(j);
}

enum response_body {
	BODY_RESPONSE, /* the whole response */
	BODY_ITEM,     /* the message */
	BODY_PART,     /* its text, as an object */
	BODY_DELTA,
	BODY_TEXT,
};

static void response_place(struct bf_json_writer *j, const struct mock_words *w, bool in_item)
{
	if (in_item)
		put_id(j, "item_id", "msg_", w);
	put_num(j, "output_index", 0);
	if (in_item)
		put_num(j, "content_index", 0);
}

static void response_body(struct bf_json_writer *j, const struct mock_words *w,
			  enum response_body body, const struct bf_slice *text)
{
	const struct bf_slice empty = BF_SLICE_LIT("");

	if (body != BODY_RESPONSE)
		response_place(j, w, body != BODY_ITEM);
	switch (body) {
	case BODY_RESPONSE:
		bf_jw_key(j, "response");
		response_object(j, w, text);
		break;
	case BODY_ITEM:
		bf_jw_key(j, "item");
		response_item(j, w, text);
		break;
	case BODY_PART:
		bf_jw_key(j, "part");
		response_part(j, text ? *text : empty);
		break;
	case BODY_DELTA:
	case BODY_TEXT:
		bf_jw_key(j, body == BODY_DELTA ? "delta" : "text");
		bf_jw_string(j, text ? *text : empty);
		bf_jw_key(j, "logprobs");
		bf_jw_array(j);
		bf_jw_end_array(j);
		break;
	}
}

static int response_event(struct bf_buf *out, struct mock_words *w, const char *type,
			  enum response_body body, const struct bf_slice *text,
			  struct bf_slice *ret_json)
{
	struct bf_json_writer j;
	ssize_t begin = event_begin(out, type);

	if (begin < 0)
		return (int)begin;
	bf_jw_init(&j, out);
	bf_jw_object(&j);
	put_str(&j, "type", type);
	put_num(&j, "sequence_number", w->sequence++);
	response_body(&j, w, body, text);
	bf_jw_end_object(&j);
	return event_end(out, &j, begin, ret_json);
}

struct response_step {
	const char *type; /* NULL: the last one was before */
	enum response_body body;
};

static const struct response_step response_opening[] = {
    {"response.created", BODY_RESPONSE},
    {"response.in_progress", BODY_RESPONSE},
    {"response.output_item.added", BODY_ITEM},
    {"response.content_part.added", BODY_PART},
    {NULL, BODY_RESPONSE},
};

static const struct response_step response_closing[] = {
    {"response.output_text.done", BODY_TEXT},
    {"response.content_part.done", BODY_PART},
    {"response.output_item.done", BODY_ITEM},
    {NULL, BODY_RESPONSE},
};

static int response_events(struct bf_buf *out, struct mock_words *w,
			   const struct response_step *steps, const struct bf_slice *text)
{
	int r = 0;

	for (; steps->type && r == 0; steps++)
		r = response_event(out, w, steps->type, steps->body, text, NULL);
	return r;
}

/* ---- public */

int mock_write_answer(struct bf_buf *out, struct mock_words *w, struct bf_slice reply)
{
	struct bf_json_writer j;

	bf_jw_init(&j, out);
	if (w->object == SHM_OBJECT_RESPONSES) {
		response_object(&j, w, &reply);
		return bf_jw_finish(&j);
	}
	choices_object(&j, w, false, &(struct said){"assistant", &reply, "stop"}, true);
	return bf_jw_finish(&j);
}

int mock_write_begin(struct bf_buf *out, struct mock_words *w)
{
	const struct bf_slice empty = BF_SLICE_LIT("");

	if (w->object == SHM_OBJECT_RESPONSES)
		return response_events(out, w, response_opening, NULL);
	return choices_event(out, w, &(struct said){"assistant", &empty, NULL}, false, NULL);
}

int mock_write_piece(struct bf_buf *out, struct mock_words *w, struct bf_slice piece)
{
	if (w->object == SHM_OBJECT_RESPONSES)
		return response_event(out, w, "response.output_text.delta", BODY_DELTA, &piece,
				      NULL);
	return choices_event(out, w, &(struct said){.text = &piece}, false, NULL);
}

int mock_write_closing(struct bf_buf *out, struct mock_words *w, struct bf_slice reply)
{
	if (w->object != SHM_OBJECT_RESPONSES)
		return 0;
	return response_events(out, w, response_closing, &reply);
}

int mock_write_final(struct bf_buf *out, struct mock_words *w, struct bf_slice reply,
		     struct bf_slice *ret_json)
{
	const struct bf_slice empty = BF_SLICE_LIT("");
	const struct said stop = {.text = is_chat(w) ? NULL : &empty, .finish_reason = "stop"};

	if (w->object == SHM_OBJECT_RESPONSES)
		return response_event(out, w, "response.completed", BODY_RESPONSE, &reply,
				      ret_json);
	return choices_event(out, w, &stop, false, ret_json);
}

int mock_write_usage(struct bf_buf *out, struct mock_words *w, struct bf_slice *ret_json)
{
	return choices_event(out, w, NULL, true, ret_json);
}
