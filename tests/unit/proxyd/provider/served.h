/* One call of the OpenAI adapter to a server in this process, and what its sink heard. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/provider/provider.h"
#include "tests/unit/proxyd/harness.h"

/* What the sink heard of one attempt. */
struct heard {
	struct exchange *x;
	char text[4096];
	size_t len;
	unsigned heads, bodies, finals, ends;
	uint64_t prompt, completion;
	struct exchange_outcome outcome;
	bool estimated;
	int answer_status;
	char error_type[64], error_text[400], tail[1024];
};

static struct heard heard;

static bool collecting; /* a plain answer, as the relay does it */

static void hear_head(struct exchange *x, int http_status, bool is_stream)
{
	assert_int_equal(is_stream, !collecting);
	if (!collecting)
		assert_int_equal(http_status, 200);
	x->answer_status = http_status;
	heard.heads++;
}

static bool hear_body(struct exchange *x, struct bf_slice bytes)
{
	assert_int_equal(heard.ends, 0);
	if (collecting)
		return bf_buf_append_slice(&x->answer, bytes) == 0;
	assert_true(bytes.len > 0 && heard.len + bytes.len < sizeof(heard.text));
	memcpy(heard.text + heard.len, bytes.ptr, bytes.len);
	heard.bodies++;
	heard.len += bytes.len;
	heard.text[heard.len] = '\0';
	return true;
}

static bool hear_final(struct exchange *x, struct bf_slice event, struct bf_slice json)
{
	heard.finals++;
	assert_true(json.ptr > event.ptr && json.ptr + json.len < event.ptr + event.len);
	assert_int_equal(json.ptr[0], '{');
	assert_int_equal(json.ptr[json.len - 1], '}');
	return hear_body(x, event);
}

static void hear_usage(struct exchange *x BF_UNUSED, uint64_t prompt, uint64_t completion,
		       uint64_t cached BF_UNUSED)
{
	heard.prompt = prompt;
	heard.completion = completion;
}

static void hear_done(struct exchange *x, const struct exchange_outcome *outcome)
{
	heard.ends++;
	heard.estimated = x->record.flags & SHM_USAGE_ESTIMATED;
	heard.answer_status = x->answer_status;
	heard.outcome = *outcome;
	(void)snprintf(heard.error_type, sizeof(heard.error_type), "%s",
		       outcome->error_type ? outcome->error_type : "");
	(void)snprintf(heard.error_text, sizeof(heard.error_text), "%s",
		       outcome->error_text ? outcome->error_text : "");
	(void)snprintf(heard.tail, sizeof(heard.tail), "%.*s", BF_SLICE_FMT(outcome->tail));
	exchange_set_state(x, EXCHANGE_DONE);
}

static const struct exchange_sink sink = {.on_head = hear_head,
					  .on_body = hear_body,
					  .on_final = hear_final,
					  .on_usage = hear_usage,
					  .on_done = hear_done};

static bool always_ready(const struct exchange *x BF_UNUSED)
{
	return true;
}

static const struct exchange_out out = {.stream_ready = always_ready};

static char url[64];
static bool without_marker;

static void with_server(struct bf_config *config)
{
	struct bf_conf_provider *p = harness_mock(config);

	p->name = BF_SLICE_LIT("served");
	p->network_config.base_url = bf_slice_from(url);
	p->network_config.request_timeout_ms = 30000;
	p->network_config.stream_idle_timeout_ms = 30000;
	p->custom_provider_config.does_not_send_done_marker = without_marker;
}

static int server_open(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(sin.sin_port));
	return fd;
}

static struct exchange *ask(struct harness *h, enum shm_usage_object object)
{
	struct exchange *x = exchange_new(&h->w);

	assert_non_null(x);
	memset(&heard, 0, sizeof(heard));
	heard.x = x;
	x->object = object;
	x->body = BF_SLICE_LIT("{\"model\":\"served/m\",\"stream\":true}");
	x->model_edit = (struct exchange_edit){.from = 9, .to = 19};
	x->model = BF_SLICE_LIT("m");
	x->wants_stream = true;
	x->sink = &sink;
	x->out = &out;
	exchange_set_state(x, EXCHANGE_GATE);
	exchange_set_state(x, EXCHANGE_CALLING);
	h->w.providers->items[0]->ops->start(h->w.providers->items[0], x);
	return x;
}

/* Reads the request, says these bytes and closes. */
static void serve(struct harness *h, int listener, const char *bytes, size_t len)
{
	char request[4096];
	int one = 1, fd = -1;
	size_t got = 0;

	for (int i = 0; i < 1000 && !heard.ends && fd < 0; i++) {
		harness_turns(h, 1);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	assert_true(fd >= 0);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (int i = 0; i < 1000 && !memmem(request, got, "\r\n\r\n", 4); i++) {
		harness_turns(h, 1);
		ssize_t n = recv(fd, request + got, sizeof(request) - got, MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	(void)shutdown(fd, SHUT_WR);
	for (int i = 0; i < 5000 && !heard.ends; i++) {
		harness_turns(h, 1);
		if (!heard.ends)
			(void)usleep(100);
	}
	assert_int_equal(heard.ends, 1);
	(void)close(fd);
}

static void finish(struct harness *h)
{
	exchange_free(heard.x);
	harness_turns(h, 2);
}
