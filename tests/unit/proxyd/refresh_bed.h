/* A worker before a provider that the test plays, and writerd, which it plays too: requests to ask
 * the provider for its models. */
#pragma once

#include "tests/unit/proxyd/asker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/snapshot/entity.h"
#include "proxyd/gate/listing.h"

#define SECRET  "sk-of-a-provider"
#define REFRESH "/api/providers/served/refresh-models"

static struct asker a;
static struct bf_arena arena;
static struct bf_msg_entity_change change;
static uint32_t request_id;
static int listener, server, client;
static char url[64], request[4096], answer[1 << 17];
static struct bf_conf_provider_key keys[4];
static struct bf_slice some_models[] = {BF_SLICE_INIT("m1"), BF_SLICE_INIT("*")};
static int64_t timeout_ms;
static uint64_t body_memory;

/* "only" names a model, "off" is off, "any" may be asked; "spare" may too. */
static inline void with_server(struct bf_config *config)
{
	static const char *const names[] = {"only", "off", "any", "spare"};
	struct bf_conf_provider *p = harness_mock(config);
	struct bf_conf_provider *both = bf_arena_alloc(&arena, 2 * sizeof(*both));

	assert_non_null(both);
	for (size_t i = 0; i < BF_ARRAY_LEN(keys); i++)
		keys[i] = (struct bf_conf_provider_key){.id = bf_slice_from(names[i]),
							.name = bf_slice_from(names[i]),
							.value = bf_slice_from(names[i]),
							.weight_micro = 1000000,
							.enabled = i != 1};
	keys[0].models = (struct bf_array){some_models, 1};
	keys[2].value = BF_SLICE_LIT(SECRET);
	both[0] = both[1] = *p;
	both[1].name = BF_SLICE_LIT("served");
	both[1].keys = (struct bf_array){keys, BF_ARRAY_LEN(keys)};
	both[1].network_config.base_url = bf_slice_from(url);
	both[1].network_config.request_timeout_ms = timeout_ms;
	config->providers = (struct bf_array){both, 2};
	if (body_memory)
		config->server.body_memory_bytes = body_memory;
}

static inline int listens(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(sin.sin_port));
	return fd;
}

static inline int setup(void **state)
{
	(void)state;
	timeout_ms = timeout_ms ? timeout_ms : 30000;
	bf_arena_init(&arena, 8 << 20);
	listener = listens();
	server = client = -1;
	asker_open_with(&a, with_server);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	if (server >= 0)
		(void)close(server);
	asker_close(&a);
	(void)close(listener);
	bf_arena_done(&arena);
	timeout_ms = 0;
	body_memory = 0;
	return 0;
}

static inline int setup_impatient(void **state)
{
	timeout_ms = 60;
	return setup(state);
}

static inline int setup_little_memory(void **state)
{
	body_memory = 20000;
	return setup(state);
}

static inline void turn(void)
{
	harness_turns(&a.h, 1);
	(void)usleep(50);
}

/* ---- the client */

static inline void sends(const char *line, const char *headers, const char *body)
{
	static char text[1 << 17];

	client = harness_client(&a.h);
	(void)snprintf(text, sizeof(text),
		       "%s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s", line,
		       headers, strlen(body), body);
	harness_send(&a.h, client, text, strlen(text));
	harness_turns(&a.h, 5);
}

static inline void finish(const char *status, const char *part)
{
	char start[32];

	(void)harness_read(&a.h, client, answer, sizeof(answer), "}", NULL);
	for (int i = 0; i < 10 && !strstr(answer, part); i++) {
		size_t n = strlen(answer);

		(void)harness_read(&a.h, client, answer + n, sizeof(answer) - n, NULL, NULL);
	}
	(void)snprintf(start, sizeof(start), "HTTP/1.1 %s ", status);
	if (strncmp(answer, start, strlen(start)) != 0 || !strstr(answer, part))
		fail_msg("not %s with %s: %s", status, part, answer);
	assert_null(strstr(answer, SECRET));
	(void)close(client);
	client = -1;
	harness_turns(&a.h, 8);
}

/* ---- the provider */

static inline void is_asked(void)
{
	int one = 1;
	size_t got = 0;

	for (int i = 0; i < 5000 && server < 0; i++) {
		turn();
		server = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	assert_true(server >= 0);
	(void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	request[0] = '\0';
	for (int i = 0; i < 5000 && !strstr(request, "\r\n\r\n"); i++) {
		ssize_t n = recv(server, request + got, sizeof(request) - 1 - got, 0);

		got += n > 0 ? (size_t)n : 0;
		request[got] = '\0';
		turn();
	}
	assert_non_null(strstr(request, "\r\n\r\n"));
}

static inline void says(const char *bytes, size_t len)
{
	size_t sent = 0;

	for (int i = 0; i < 50000 && sent < len; i++) {
		ssize_t n = send(server, bytes + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return; /* it has heard enough */
		sent += n > 0 ? (size_t)n : 0;
		turn();
	}
}

/* How often a provider was asked to an end. */
static inline int64_t asked(void)
{
	return asker_metric(&a, SHM_M_MODEL_LISTS) + asker_metric(&a, SHM_M_MODEL_LIST_FAILURES);
}

static inline void answers(const char *status, const char *body)
{
	int64_t before = asked();
	char head[256];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\n"
			 "Content-Length: %zu\r\n\r\n",
			 status, strlen(body));

	says(head, (size_t)n);
	says(body, strlen(body));
	(void)close(server);
	server = -1;
	for (int i = 0; i < 5000 && asked() == before; i++)
		turn();
}

/* ---- writerd */

static inline void is_changed(const char *id, const char *body)
{
	struct bf_frame f;

	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(f.type, BF_MSG_ENTITY_CHANGE);
	assert_int_equal(bf_msg_permitted(&f, NULL), 0);
	assert_int_equal(bf_msg_decode(f.type, f.body, &change, &arena, NULL), 0);
	request_id = f.request;
	assert_int_equal(change.action, BF_ENTITY_UPDATE);
	assert_int_equal(change.type, BF_ENTITY_MODEL_CATALOG);
	assert_true(bf_slice_is(change.id, id));
	assert_true(bf_slice_is(change.actor, "local"));
	if (body)
		assert_true(bf_slice_is(change.body, body));
}

static inline void nobody_is_asked(void)
{
	struct bf_frame f;

	assert_int_equal(asker_get(&a, &f), BF_E_TIMEOUT);
}

#define STORED "{\"message\":\"updated\",\"model_catalog\":{\"provider\":\"p\",\"models\":[\"x\"]}}"

static inline void stored(const char *message)
{
	char wanted[256];

	asker_answer_change(&a, request_id, 200, STORED);
	(void)snprintf(wanted, sizeof(wanted),
		       "{\"message\":\"%s\",\"model_catalog\":{\"provider\":\"p\",\"models\":"
		       "[\"x\"]}}",
		       message);
	finish("200", wanted);
	assert_non_null(strstr(answer, "ETag: \"7\"\r\n"));
	assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
}

static inline void refused(const char *line, const char *body, const char *status, const char *part)
{
	sends(line, "", body);
	finish(status, part);
	nobody_is_asked();
	assert_int_equal(accept4(listener, NULL, NULL, SOCK_CLOEXEC), -1);
}

static inline char *many_names(unsigned count, int width)
{
	size_t size = (size_t)count * ((size_t)width + 16) + 64, n = 0;
	char *text = malloc(size);

	assert_non_null(text);
	n += (size_t)snprintf(text, size, "{\"data\":[");
	for (unsigned i = 0; i < count; i++)
		n += (size_t)snprintf(text + n, size - n, "%s{\"id\":\"%0*u\"}", i ? "," : "",
				      width, i);
	(void)snprintf(text + n, size - n, "]}");
	return text;
}
