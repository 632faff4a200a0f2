/*
 * Answers. Called by the handlers and by the door. Must never put into a message what a client
 * keeps secret.
 */
#include "proxyd/api/refuse.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/codec/json_writer.h"
#include "proxyd/worker.h"

static void send(struct exchange *x, int http_status, struct bf_slice json)
{
	exchange_set_state(x, EXCHANGE_DONE);
	x->out->answer(x, http_status, BF_SLICE_LIT("application/json"), json);
}

void api_refuse(struct exchange *x, int http_status, const char *type, struct bf_slice param,
		const char *fmt, ...)
{
	struct bf_buf *text = &x->worker->text;
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	bf_buf_clear(text);
	if (bf_problem_write(&(struct bf_problem){.http_status = http_status,
						  .type = type,
						  .message = bf_slice_from(message),
						  .param = param,
						  .instance = x->path},
			     text) < 0)
		bf_buf_clear(text); /* out of memory: the status alone must do */
	send(x, http_status, bf_buf_slice(text));
}

void api_answer(struct exchange *x, int http_status, struct bf_slice head, struct bf_slice json)
{
	char *lines = bf_arena_printf(&x->arena, API_NO_STORE "%.*s", BF_SLICE_FMT(head));

	x->answer_head = lines ? bf_slice_from(lines) : BF_SLICE_LIT(API_NO_STORE);
	send(x, http_status, json);
}

void api_answer_message(struct exchange *x, struct bf_slice head, const char *text)
{
	struct bf_json_writer w;

	bf_buf_clear(&x->worker->text);
	bf_jw_init(&w, &x->worker->text);
	bf_jw_object(&w);
	bf_jw_key(&w, "message");
	bf_jw_cstr(&w, text);
	bf_jw_end_object(&w);
	if (bf_jw_finish(&w) < 0)
		api_refuse(x, 503, "out_of_memory", (struct bf_slice){NULL, 0},
			   "no memory for the answer");
	else
		api_answer(x, 200, head, bf_buf_slice(&x->worker->text));
}
