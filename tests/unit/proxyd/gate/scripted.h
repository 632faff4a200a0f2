/* A house with three providers of three keys that do what a script says, for the tests of attempts.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "shm/inflight.h"
#include "shm/metrics.h"
#include "shm/slot.h"
#include "tests/support/by_hand.h"
#include "tests/unit/proxyd/harness.h"

#define PROVIDERS 3u
#define KEYS      3u

enum {
	NETWORK = 0,
	HOLD = -1,
	STREAM_CUT = -2,
	STREAM_BEGUN_CUT = -3,
	STREAM = -4,
	FULL = -5,
	LIMIT_400 = -6,        /* a rate limit that is called a bad request */
	QUOTA_429 = -7,        /* a used up quota that is called a rate limit */
	REPEATED = -8,         /* well, after a kept connection was dead */
	REPEATED_NETWORK = -9, /* the same, and the new one fails */
	NO_MODEL = -10,        /* a 404 that says so */
};

/* What the upstream does with the attempts, in order: statuses, or the above. */
static const int *script;
static unsigned retry_after_s;
static int64_t attempt_ms; /* that each attempt takes, where the clock is the test's */
static char asked[512];    /* "provider/key " of each attempt */
static struct exchange *held;
static unsigned cancelled;
static struct harness h;
static struct bf_conf_provider confs[PROVIDERS];
static struct bf_conf_provider_key keys[PROVIDERS][KEYS];
static char answer[65536];

static inline void on_cancel(struct exchange *x)
{
	(void)x;
	cancelled++;
	held = NULL;
}

static inline void on_resume(struct exchange *x)
{
	(void)x;
}

static inline void end(struct exchange *x, enum exchange_fault fault, int http_status,
		       const char *type)
{
	const struct exchange_outcome o = {
	    .fault = fault,
	    .http_status = http_status,
	    .error_type = type,
	    .error_text = type ? "what went wrong" : NULL,
	    .truncated = x->answer_status == 200 && type,
	};

	x->sink->on_done(x, &o);
}

static inline void act_stream(struct exchange *x, int what)
{
	static const struct exchange_outcome good = {.http_status = 200,
						     .tail = {"data: [DONE]\n\n", 14}};

	x->sink->on_head(x, 200, true);
	if (what == STREAM_CUT) {
		end(x, EXCHANGE_FAULT_NETWORK, 502, "upstream_truncated");
		return;
	}
	assert_true(x->sink->on_body(x, BF_SLICE_LIT("data: {\"n\":1}\n\n")));
	x->sink->on_usage(x, 3, 1, 0);
	if (what == STREAM)
		x->sink->on_done(x, &good);
	else
		end(x, EXCHANGE_FAULT_NETWORK, 502, "upstream_truncated");
}

static inline void act_named(struct exchange *x, int http_status, const char *body)
{
	x->sink->on_head(x, http_status, false);
	assert_true(x->sink->on_body(x, bf_slice_from(body)));
	end(x, EXCHANGE_FAULT_STATUS, http_status, "upstream_refused");
}

static inline void act(struct exchange *x, int what)
{
	char body[64];

	if (what == HOLD) {
		held = x;
		return;
	}
	if (what == LIMIT_400) {
		act_named(x, 400,
			  "{\"error\":{\"message\":\"slow down\",\"code\":"
			  "\"rate_limit_exceeded\"}}");
		return;
	}
	if (what == QUOTA_429) {
		act_named(x, 429,
			  "{\"error\":{\"message\":\"pay\",\"type\":"
			  "\"insufficient_quota\"}}");
		return;
	}
	if (what == NO_MODEL) {
		act_named(x, 404,
			  "{\"error\":{\"message\":\"none\",\"code\":"
			  "\"model_not_found\"}}");
		return;
	}
	if (what == REPEATED || what == REPEATED_NETWORK) {
		x->sink->on_repeat(x);
		what = what == REPEATED ? 200 : NETWORK;
	}
	if (what < 0 && what != FULL) {
		act_stream(x, what);
		return;
	}
	if (what == NETWORK) {
		end(x, EXCHANGE_FAULT_NETWORK, 502, "upstream_unreachable");
		return;
	}
	if (what == FULL) {
		h.w.inflight += UINT64_C(1) << 40; /* no room for another row */
		what = 500;
	}
	x->retry_after_s = what == 200 ? 0 : retry_after_s;
	x->sink->on_head(x, what, false);
	(void)snprintf(body, sizeof(body), "{\"error\":{\"message\":\"%.*s says %d\"}}",
		       BF_SLICE_FMT(x->provider), what);
	assert_true(x->sink->on_body(x, bf_slice_from(body)));
	end(x, what == 200 ? EXCHANGE_FAULT_NONE : EXCHANGE_FAULT_STATUS, what,
	    what == 200 ? NULL : "upstream_error");
}

static inline void fake_start(struct provider *p, struct exchange *x)
{
	size_t n = strlen(asked);

	(void)snprintf(asked + n, sizeof(asked) - n, "%.*s/%.*s ", BF_SLICE_FMT(p->conf->name),
		       BF_SLICE_FMT(x->key ? x->key->name : BF_SLICE_LIT("-")));
	x->call_cancel = on_cancel;
	x->call_resume = on_resume;
	harness_tick(attempt_ms);
	act(x, *script++);
}

static inline const char *fake_unserved(const struct provider *p, enum shm_usage_object object)
{
	bool serves = object != SHM_OBJECT_EMBEDDING || !bf_slice_is(p->conf->name, "third");

	return serves ? NULL : "embeddings";
}

static const struct provider_ops fake_ops = {
    .name = "mock", .start = fake_start, .unserved = fake_unserved};

static inline void configure(uint64_t max_retries, uint32_t key_count)
{
	static const char *const names[PROVIDERS] = {"mock", "second", "third"};
	static const char *const key_names[KEYS] = {"k1", "k2", "k3"};

	for (unsigned i = 0; i < PROVIDERS; i++) {
		for (unsigned k = 0; k < KEYS; k++)
			keys[i][k] = (struct bf_conf_provider_key){
			    .id = bf_slice_from(key_names[k]),
			    .name = bf_slice_from(key_names[k]),
			    .value = BF_SLICE_LIT("secret"),
			    .weight_micro = k == 0, /* the others only when it is out */
			    .enabled = true};
		confs[i] =
		    (struct bf_conf_provider){.name = bf_slice_from(names[i]),
					      .keys = {keys[i], key_count},
					      .network_config = {.max_retries = max_retries,
								 .retry_backoff_initial_ms = 1,
								 .retry_backoff_max_ms = 4,
								 .total_timeout_ms = 20000}};
	}
}

static inline void house(uint64_t max_retries, uint32_t key_count)
{
	harness_open(&h, NULL);
	configure(max_retries, key_count);
	by_hand_providers(&h.w, &(struct bf_array){confs, PROVIDERS}, &fake_ops);
	asked[0] = '\0';
	held = NULL;
	cancelled = retry_after_s = 0;
}

#define FALLBACKS ",\"fallbacks\":[\"second/m2\",\"third/m3\"]"

static inline int send_request(const char *headers, bool stream, const char *more)
{
	char request[1024], body[512];
	int fd = harness_client(&h);

	(void)snprintf(body, sizeof(body),
		       "{\"model\":\"mock/m\",\"stream\":%s,\"messages\":[{\"role\":\"user\","
		       "\"content\":\"x\"}]%s}",
		       stream ? "true" : "false", more);
	(void)snprintf(request, sizeof(request),
		       "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n%sContent-Length: "
		       "%zu\r\n\r\n%s",
		       headers, strlen(body), body);
	harness_send(&h, fd, request, strlen(request));
	return fd;
}

static inline int ask(const int *steps, const char *headers, bool stream, const char *more)
{
	int fd;

	script = steps;
	fd = send_request(headers, stream, more);
	if (stream)
		(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	else
		(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	return fd;
}

static inline size_t leave(int fd, struct shm_usage_record *rows, size_t max)
{
	(void)close(fd);
	harness_turns(&h, 4);
	size_t n = harness_rows(&h, rows, max);
	harness_close(&h);
	return n;
}

static inline void has(const char *part)
{
	if (!strstr(answer, part))
		fail_msg("\"%s\" is not in %s", part, answer);
}

#define metric(m)  ((int)shm_metric_of(&h.seg, h.slot, m))
#define STEPS(...) ((const int[]){__VA_ARGS__})
