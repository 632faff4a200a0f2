/* A name server in the test's own process that lies on order, and a resolver that asks it. Time can
 * be skipped. */
#pragma once

#include <arpa/inet.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/net/resolve.h"

#define NAME BF_SLICE_LIT("api.test.")

enum lie {
	HONEST,
	SILENT,
	REFUSING, /* rcode 5 */
	OTHER_ID, /* these come before the honest answer */
	OTHER_QUESTION,
	CUT,
	NOISE,
};

struct server {
	int fd;
	ev_io io;
	char address[64];
	enum lie lie;
	size_t cut, four, six; /* records of each kind */
	bool alias;
	uint32_t ttl, seed;
	unsigned asked, asked_four;
};

static int64_t skipped_ns;

static int64_t shifted(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec + skipped_ns;
}

/* A record of the name at offset `name` of the message. */
static size_t put_record(uint8_t *at, uint8_t name, uint8_t type, uint32_t ttl, const void *data,
			 uint8_t len)
{
	const uint8_t head[] = {0xc0, name, 0, type, 0, 1};
	const uint8_t size[] = {0, len};
	uint32_t be = htonl(ttl);

	memcpy(at, head, 6);
	memcpy(at + 6, &be, 4);
	memcpy(at + 10, size, 2);
	memcpy(at + 12, data, len);
	return 12u + len;
}

/* The honest answer behind a question that ends at `end`; returns its end. */
static size_t answer(const struct server *s, uint8_t *m, size_t end, bool is_four)
{
	static const uint8_t other[] = {5, 'o', 't', 'h', 'e', 'r', 0};
	uint8_t ip[16] = {192, 0, 2}, name = 12;
	size_t count = is_four ? s->four : s->six;

	m[2] = 0x84;
	m[3] = s->lie == REFUSING ? 5 : 0;
	memset(m + 6, 0, 6);
	if (s->lie == REFUSING)
		return end;
	m[7] = (uint8_t)(count + s->alias);
	if (s->alias) {
		name = (uint8_t)(end + 12);
		end += put_record(m + end, 12, 5, s->ttl, other, sizeof(other));
	}
	if (!is_four)
		memcpy(ip, "\x20\x01\x0d\xb8", 4);
	for (size_t i = 0; i < count; i++) {
		ip[is_four ? 3 : 15] = (uint8_t)(i + 1);
		end += put_record(m + end, name, is_four ? 1 : 28, s->ttl, ip, is_four ? 4 : 16);
	}
	return end;
}

static uint8_t noise(struct server *s)
{
	s->seed = s->seed * 1664525u + 1013904223u;
	return (uint8_t)(s->seed >> 24);
}

/* Sent before the truth, with a poisoned address in it (203.0.113.x) where it has one. */
static void send_lie(struct server *s, const uint8_t *good, size_t len, size_t question_end,
		     const struct sockaddr_in *to)
{
	uint8_t m[1024];

	memcpy(m, good, len);
	if (len >= 4 && len > question_end)
		memcpy(m + len - 4, "\xcb\x00\x71\x01", 4);
	if (s->lie == OTHER_ID)
		m[0] ^= 0x55;
	if (s->lie == OTHER_QUESTION)
		m[13] ^= 0x01;
	if (s->lie == CUT) {
		memcpy(m, good, len);
		len = BF_MIN(len, s->cut);
	}
	if (s->lie == NOISE) {
		memcpy(m, good, len);
		for (size_t i = question_end; i < len; i++)
			m[i] = noise(s);
		m[6 + noise(s) % 6] = noise(s);
	}
	(void)sendto(s->fd, m, len, 0, (const struct sockaddr *)to, sizeof(*to));
}

static void on_question(struct ev_loop *loop, ev_io *io, int revents)
{
	struct server *s = io->data;
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	uint8_t m[1024];
	ssize_t n = recvfrom(s->fd, m, 512, 0, (struct sockaddr *)&from, &from_len);
	size_t end = 12;

	(void)loop;
	(void)revents;
	if (n < 17)
		return;
	while (m[end])
		end += m[end] + 1u;
	bool is_four = m[end + 2] == 1;
	end += 5;
	s->asked++;
	s->asked_four += is_four;
	if (s->lie == SILENT)
		return;
	size_t len = answer(s, m, end, is_four);
	if (s->lie >= OTHER_ID && is_four)
		send_lie(s, m, len, end, &from);
	(void)sendto(s->fd, m, len, 0, (struct sockaddr *)&from, from_len);
}

struct house {
	struct ev_loop *loop;
	struct server server;
	struct bf_resolver *resolver;
};

static void house_open(struct house *h)
{
	static const struct bf_clock_source source = {shifted, shifted, NULL};
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	struct server *s = &h->server;
	struct bf_err err = {0};

	memset(h, 0, sizeof(*h));
	skipped_ns = 0;
	bf_clock_set_source(&source);
	h->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	s->four = 1;
	s->ttl = 60;
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", ntohs(sin.sin_port));
	ev_io_init(&s->io, on_question, s->fd, EV_READ);
	s->io.data = s;
	ev_io_start(h->loop, &s->io);
	const struct bf_resolver_options options = {"/tmp/no/hosts", s->address};
	if (bf_resolver_new(&options, &h->resolver, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(bf_resolver_add(h->resolver, NAME), 0);
	bf_resolver_start(h->resolver, h->loop);
}

static void house_close(struct house *h)
{
	bf_resolver_free(h->resolver);
	ev_io_stop(h->loop, &h->server.io);
	(void)close(h->server.fd);
	ev_loop_destroy(h->loop);
	bf_clock_set_source(NULL);
}
