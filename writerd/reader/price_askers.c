/*
 * Answers about the price sheet. Called by price_sync.c. Must never keep an asker longer than it
 * waits.
 */
#include "writerd/reader/price_askers.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "common/codec/json_writer.h"
#include "common/codec/problem.h"
#include "common/proc/fds.h"

#define ANSWER_MAX 4096u

static int write_done(const struct price_answer *answer, struct bf_buf *out)
{
	struct bf_json_writer w;

	bf_jw_init(&w, out);
	bf_jw_object(&w);
	bf_jw_key(&w, "message");
	bf_jw_cstr(&w, answer->text);
	if (answer->models) {
		bf_jw_key(&w, "models");
		bf_jw_u64(&w, answer->models);
		bf_jw_key(&w, "skipped");
		bf_jw_u64(&w, answer->skipped);
	}
	bf_jw_end_object(&w);
	return bf_jw_finish(&w);
}

static int write_problem(const struct price_answer *answer, struct bf_buf *out)
{
	const struct bf_problem problem = {.http_status = answer->http_status,
					   .type = answer->type,
					   .message = bf_slice_from(answer->text)};

	return bf_problem_write(&problem, out);
}

static int send_json(const struct price_asker *a, struct bf_child *child, int http_status,
		     const struct bf_buf *json)
{
	const struct bf_msg_entity_result m = {.status = (uint64_t)http_status,
					       .size = bf_buf_len(json)};
	struct bf_frame f = {.flags = BF_FRAME_REPLY,
			     .type = BF_MSG_ENTITY_RESULT,
			     .source = child->endpoint,
			     .target = a->endpoint,
			     .request = a->request};
	struct bf_buf body;
	int r;

	f.fd = bf_memfd_sealed("bifrost-answer", json->data + json->start, bf_buf_len(json));
	if (f.fd < 0)
		return f.fd;
	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	r = bf_msg_encode(BF_MSG_ENTITY_RESULT, &m, &body);
	if (r == 0) {
		f.body = bf_buf_slice(&body);
		r = bf_channel_send(&child->channel, &f);
	}
	bf_buf_done(&body);
	(void)close(f.fd);
	return r;
}

static void answer_one(struct price_asker *a, struct bf_child *child,
		       const struct price_answer *answer)
{
	const struct bf_frame f = {.type = BF_MSG_PRICE_SYNC,
				   .source = a->endpoint,
				   .target = child->endpoint,
				   .request = a->request,
				   .fd = -1};
	struct bf_buf json;
	int r;

	bf_buf_init(&json, ANSWER_MAX);
	r = answer->type ? write_problem(answer, &json) : write_done(answer, &json);
	if (r == 0)
		r = send_json(a, child, answer->http_status, &json);
	if (r < 0)
		(void)bf_channel_reply_error(&child->channel, &f, r,
					     "the answer could not be handed over");
	bf_buf_done(&json);
	a->endpoint = 0;
}

bool price_askers_add(struct price_askers *a, struct bf_child *child, const struct bf_frame *f)
{
	for (size_t i = 0; i < PRICE_ASKERS_MAX; i++) {
		if (a->items[i].endpoint)
			continue;
		a->items[i] = (struct price_asker){f->source, f->request, bf_mono_ms()};
		return true;
	}
	(void)bf_channel_reply_error(&child->channel, f, BF_E_FULL,
				     "too many wait for the price sheet: try again");
	return false;
}

void price_askers_forget(struct price_askers *a, uint16_t asker, uint32_t request)
{
	for (size_t i = 0; i < PRICE_ASKERS_MAX; i++)
		if (a->items[i].endpoint == asker && a->items[i].request == request)
			a->items[i].endpoint = 0;
}

void price_askers_answer(struct price_askers *a, struct bf_child *child, int64_t since_ms,
			 const struct price_answer *answer)
{
	for (size_t i = 0; i < PRICE_ASKERS_MAX; i++)
		if (a->items[i].endpoint && a->items[i].since_ms <= since_ms)
			answer_one(&a->items[i], child, answer);
}
