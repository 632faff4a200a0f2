/* What a name server may send instead of a good answer, and what an asker may do inside of one. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

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

struct asker {
	struct bf_resolve_wait wait;
	int answers, code;
	struct bf_resolve_wait *also_cancel;
	struct bf_resolver *resolver; /* asks again this many times, from within its answers */
	int again;
};

static void on_answer(struct bf_resolve_wait *wait, int code, const char *reason)
{
	struct asker *a = BF_CONTAINER_OF(wait, struct asker, wait);

	assert_non_null(reason);
	assert_null(wait->prev_next);
	a->answers++;
	a->code = code;
	if (a->also_cancel)
		bf_resolve_cancel(a->also_cancel);
	if (a->again-- > 0)
		bf_resolve_ask(a->resolver, NAME, &a->wait);
}

/* Turns the loop until the asker has its answer or the seconds are over. */
static void turn(struct house *h, const struct asker *a, int seconds)
{
	for (int i = 0; i < seconds * 1000 && !a->answers; i++) {
		(void)ev_run(h->loop, EVRUN_NOWAIT);
		(void)usleep(1000);
	}
}

static int ask(struct house *h)
{
	struct asker a = {.wait.on_answer = on_answer};

	bf_resolve_ask(h->resolver, NAME, &a.wait);
	turn(h, &a, 10);
	assert_int_equal(a.answers, 1);
	return a.code;
}

static size_t known(const struct house *h, struct bf_addr addrs[BF_RESOLVE_ADDRS], char out[64])
{
	size_t n = bf_resolve_known(h->resolver, NAME, 443, addrs);

	(void)strcpy(out, "");
	if (n)
		(void)bf_addr_format(&addrs[0], out);
	return n;
}

static void no_more_addresses_than_fit(void **state BF_UNUSED)
{
	struct bf_addr addrs[BF_RESOLVE_ADDRS];
	struct house h;
	char out[64];

	house_open(&h);
	h.server.four = 12;
	h.server.six = 6;
	assert_int_equal(ask(&h), 0);
	assert_int_equal(known(&h, addrs, out), BF_RESOLVE_ADDRS);
	for (size_t i = 0; i < BF_RESOLVE_ADDRS; i++) {
		(void)bf_addr_format(&addrs[i], out);
		assert_true(strncmp(out, "192.0.2.", 8) == 0 ||
			    strncmp(out, "[2001:db8::", 11) == 0);
		assert_string_equal(strrchr(out, ':'), ":443");
	}
	/* A shorter answer leaves nothing of the longer one. */
	skipped_ns += 61 * INT64_C(1000000000);
	h.server.four = 0;
	h.server.six = 1;
	assert_int_equal(ask(&h), 0);
	assert_int_equal(known(&h, addrs, out), 1);
	assert_string_equal(out, "[2001:db8::1]:443");
	house_close(&h);
}

static void no_records_at_all(void **state BF_UNUSED)
{
	struct house h;

	house_open(&h);
	h.server.four = 0;
	assert_int_equal(ask(&h), BF_E_UNKNOWN);
	h.server.lie = REFUSING;
	assert_int_equal(ask(&h), BF_E_UNKNOWN);
	house_close(&h);
}

static void through_an_alias(void **state BF_UNUSED)
{
	struct bf_addr addrs[BF_RESOLVE_ADDRS];
	struct house h;
	char out[64];

	house_open(&h);
	h.server.alias = true;
	assert_int_equal(ask(&h), 0);
	assert_int_equal(known(&h, addrs, out), 1);
	assert_string_equal(out, "192.0.2.1:443");
	house_close(&h);
}

static void a_ttl_beyond_all_measure(void **state BF_UNUSED)
{
	static const uint32_t list[] = {0x7fffffff, 0x80000000, 0xffffffff};
	struct bf_addr addrs[BF_RESOLVE_ADDRS];

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct house h;
		char out[64];
		house_open(&h);
		h.server.ttl = list[i];
		assert_int_equal(ask(&h), 0);
		skipped_ns = (BF_RESOLVE_TTL_MIN_S - 1) * INT64_C(1000000000);
		assert_int_equal(known(&h, addrs, out), 1);
		skipped_ns = BF_RESOLVE_TTL_MAX_S * INT64_C(1000000000);
		assert_int_equal(known(&h, addrs, out), 0);
		house_close(&h);
	}
}

static void forged_answers(void **state BF_UNUSED)
{
	static const enum lie lies[] = {OTHER_ID, OTHER_QUESTION};
	struct bf_addr addrs[BF_RESOLVE_ADDRS];

	for (size_t i = 0; i < BF_ARRAY_LEN(lies); i++) {
		struct house h;
		char out[64];
		house_open(&h);
		h.server.lie = lies[i];
		assert_int_equal(ask(&h), 0);
		assert_int_equal(known(&h, addrs, out), 1);
		assert_string_equal(out, "192.0.2.1:443");
		house_close(&h);
	}
}

/* The cut or spoilt answer may fail the question or be passed over; it never becomes an address
 * that nobody sent. */
static void answers_cut_at_every_byte(void **state BF_UNUSED)
{
	struct bf_addr addrs[BF_RESOLVE_ADDRS];
	unsigned failed = 0, served = 0;

	for (size_t cut = 0; cut < 42; cut++) {
		struct house h;
		char out[64];
		house_open(&h);
		h.server.lie = CUT;
		h.server.cut = cut;
		int code = ask(&h);
		size_t n = known(&h, addrs, out);
		assert_int_equal(n, code == 0 ? 1 : 0);
		if (n)
			assert_string_equal(out, "192.0.2.1:443");
		failed += code != 0;
		served += code == 0;
		h.server.lie = HONEST;
		skipped_ns = 301 * INT64_C(1000000000);
		assert_int_equal(ask(&h), 0);
		house_close(&h);
	}
	assert_true(failed > 0);
	assert_true(served > 0);
}

static void noise_behind_the_question(void **state BF_UNUSED)
{
	struct house h;

	house_open(&h);
	h.server.seed = 42;
	for (int i = 0; i < 200; i++) {
		h.server.lie = NOISE;
		h.server.four = 1u + (size_t)i % 5;
		(void)ask(&h);
		skipped_ns += 301 * INT64_C(1000000000);
	}
	h.server.lie = HONEST;
	assert_int_equal(ask(&h), 0);
	house_close(&h);
}

static void nobody_at_the_servers_port(void **state BF_UNUSED)
{
	struct asker a = {.wait.on_answer = on_answer};
	struct house h;

	house_open(&h);
	ev_io_stop(h.loop, &h.server.io);
	(void)close(h.server.fd);
	h.server.fd = -1;
	bf_resolve_ask(h.resolver, NAME, &a.wait);
	turn(&h, &a, 10);
	assert_int_equal(a.answers, 1);
	assert_true(a.code < 0);
	house_close(&h);
}

/* The only slow one: what c-ares waits for is real time. */
static void a_silent_server(void **state BF_UNUSED)
{
	struct asker a = {.wait.on_answer = on_answer};
	struct house h;

	house_open(&h);
	h.server.lie = SILENT;
	bf_resolve_ask(h.resolver, NAME, &a.wait);
	turn(&h, &a, 20);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.code, BF_E_TIMEOUT);
	assert_true(h.server.asked_four > 1); /* one lost packet is no failure */
	h.server.lie = HONEST;
	assert_int_equal(ask(&h), 0);
	house_close(&h);
}

static void cancelled_inside_of_an_answer(void **state BF_UNUSED)
{
	struct asker a[3];
	struct house h;

	house_open(&h);
	for (size_t i = 0; i < 3; i++) {
		a[i] = (struct asker){.wait.on_answer = on_answer,
				      .also_cancel = &a[(i + 1) % 2].wait};
		bf_resolve_ask(h.resolver, NAME, &a[i].wait);
	}
	a[2].also_cancel = &a[2].wait; /* itself, which waits no more */
	turn(&h, &a[2], 10);
	assert_int_equal(a[2].answers, 1);
	assert_int_equal(a[0].answers + a[1].answers, 1);
	assert_int_equal(h.server.asked_four, 1);
	house_close(&h);
}

static void cancelled_and_asked_again(void **state BF_UNUSED)
{
	struct asker a = {.wait.on_answer = on_answer};
	struct house h;

	house_open(&h);
	bf_resolve_cancel(&a.wait); /* never waited */
	for (int i = 0; i < 3; i++) {
		bf_resolve_ask(h.resolver, BF_SLICE_LIT("API.Test."), &a.wait);
		bf_resolve_cancel(&a.wait);
	}
	bf_resolve_ask(h.resolver, NAME, &a.wait);
	turn(&h, &a, 10);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.code, 0);
	assert_int_equal(h.server.asked_four, 1);
	house_close(&h);
}

/* Each further answer is one to a further question, not the old one once more. */
static void asked_again_inside_of_an_answer(void **state BF_UNUSED)
{
	struct asker a = {.wait.on_answer = on_answer, .again = 2};
	struct asker beside = {.wait.on_answer = on_answer};
	struct house h;

	house_open(&h);
	h.server.lie = REFUSING;
	a.resolver = h.resolver;
	bf_resolve_ask(h.resolver, NAME, &a.wait);
	bf_resolve_ask(h.resolver, NAME, &beside.wait);
	turn(&h, &beside, 10);
	unsigned first = h.server.asked_four;
	assert_true(a.answers == 1 && beside.answers == 1);
	for (int i = 0; i < 5000 && a.answers < 3; i++) {
		(void)ev_run(h.loop, EVRUN_NOWAIT);
		(void)usleep(1000);
	}
	assert_int_equal(a.answers, 3);
	assert_int_equal(beside.answers, 1);
	assert_int_equal(h.server.asked_four, 3 * first);
	house_close(&h);
}

static void before_the_start(void **state BF_UNUSED)
{
	const struct bf_resolver_options options = {"/tmp/no/hosts", "127.0.0.1:9"};
	struct asker a = {.wait.on_answer = on_answer};
	struct bf_addr addrs[BF_RESOLVE_ADDRS];
	struct bf_resolver *r = NULL;
	struct bf_err err = {0};

	assert_int_equal(bf_resolver_new(&options, &r, &err), 0);
	assert_int_equal(bf_resolver_add(r, NAME), 0);
	bf_resolve_ask(r, NAME, &a.wait);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.code, BF_E_UNKNOWN);
	assert_int_equal(bf_resolve_known(r, BF_SLICE_LIT("10.0.0.1"), 1, addrs), 1);
	bf_resolver_free(r);
	bf_resolver_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_more_addresses_than_fit),
	    cmocka_unit_test(no_records_at_all),
	    cmocka_unit_test(through_an_alias),
	    cmocka_unit_test(a_ttl_beyond_all_measure),
	    cmocka_unit_test(forged_answers),
	    cmocka_unit_test(answers_cut_at_every_byte),
	    cmocka_unit_test(noise_behind_the_question),
	    cmocka_unit_test(nobody_at_the_servers_port),
	    cmocka_unit_test(a_silent_server),
	    cmocka_unit_test(cancelled_inside_of_an_answer),
	    cmocka_unit_test(cancelled_and_asked_again),
	    cmocka_unit_test(asked_again_inside_of_an_answer),
	    cmocka_unit_test(before_the_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
