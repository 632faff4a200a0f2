/*
 * Making exchanges. Called by input, once per request. Must never let an exchange point into a
 * buffer of its connection.
 */
#include "proxyd/front/input_exchange.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "proxyd/front/front.h"
#include "proxyd/front/respond.h"
#include "proxyd/front/trace.h"

/* Where section's bytes went to. */
struct moved {
	struct bf_slice section;
	const char *copy;
};

/* What does not lie in the section is a constant. */
static struct bf_slice moved(const struct moved *m, struct bf_slice s)
{
	size_t at = (size_t)((uintptr_t)s.ptr - (uintptr_t)m->section.ptr);

	if (!s.ptr || at >= m->section.len)
		return s;
	return (struct bf_slice){m->copy + at, s.len};
}

static int take_headers(struct exchange *x, const struct http1_head *head, const struct moved *m)
{
	struct exchange_header *rows;

	rows = bf_arena_alloc(&x->arena, head->header_count * sizeof(*rows));
	if (!rows)
		return -1;
	for (uint32_t i = 0; i < head->header_count; i++) {
		rows[i].name = moved(m, head->headers[i].name);
		rows[i].value = moved(m, head->headers[i].value);
	}
	x->headers = rows;
	x->header_count = head->header_count;
	return 0;
}

static int take_trace(struct exchange *x)
{
	uint8_t random[TRACE_RANDOM_LEN];
	struct trace t;

	bf_rand_bytes(random, sizeof(random));
	trace_take(x->headers, x->header_count, random, &t);
	_Static_assert(sizeof(x->traceparent) == sizeof(t.parent), "the same text");
	memcpy(x->traceparent, t.parent, sizeof(t.parent));
	if (t.state_len == 0)
		return 0;
	x->tracestate = bf_arena_dup(&x->arena, (struct bf_slice){t.state, t.state_len});
	return x->tracestate.ptr ? 0 : -1;
}

static int take_head(struct exchange *x, const struct http1_head *head, struct bf_slice section)
{
	struct bf_slice copy = bf_arena_dup(&x->arena, section);
	const struct moved m = {section, copy.ptr};

	if (!copy.ptr || take_headers(x, head, &m) < 0)
		return -1;
	x->method = head->method;
	x->path = moved(&m, head->path);
	x->query = moved(&m, head->query);
	x->request_id = moved(&m, head->request_id);
	x->body_encoded = head->body_encoded;
	return take_trace(x);
}

struct exchange *input_exchange(struct conn *c, struct bf_slice section)
{
	struct exchange *x = exchange_new(c->front->w);

	if (!x)
		return NULL;
	if (take_head(x, &c->http.head, section) < 0) {
		exchange_free(x);
		return NULL;
	}
	x->from_loopback = c->from_loopback;
	memcpy(x->peer, c->peer, sizeof(x->peer));
	x->started_mono_ns = bf_mono_ns();
	x->started_wall_ns = bf_wall_ns();
	x->out = &respond_out;
	x->front = c;
	return x;
}
