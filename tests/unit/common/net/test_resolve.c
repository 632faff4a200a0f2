/* Names against a name server in this process: answers, their life, failures, cancelling. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/net/resolve.h"

/* A name server for A records: says `ip` with `ttl`, or `rcode`; AAAA has no records. */
struct server {
	int fd;
	ev_io io;
	char address[64];
	const char *ip;
	uint32_t ttl;
	uint8_t rcode;
	unsigned asked; /* A questions */
};

static int64_t skipped_ns;

static int64_t shifted(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec + skipped_ns;
}

static void on_question(struct ev_loop *loop, ev_io *io, int revents)
{
	struct server *s = io->data;
	uint8_t m[512];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(s->fd, m, sizeof(m) - 16, 0, (struct sockaddr *)&from, &from_len);

	(void)loop;
	(void)revents;
	if (n < 17)
		return;
	size_t end = 12;
	while (m[end])
		end += m[end] + 1u;
	bool is_a = m[end + 2] == 1;
	end += 5;
	s->asked += is_a;
	m[2] = 0x84;
	m[3] = s->rcode;
	memset(m + 6, 0, 6);
	if (is_a && s->rcode == 0) {
		const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4};
		uint32_t ttl = htonl(s->ttl);
		m[7] = 1;
		memcpy(m + end, record, sizeof(record));
		memcpy(m + end + 6, &ttl, 4);
		assert_int_equal(inet_pton(AF_INET, s->ip, m + end + sizeof(record)), 1);
		end += sizeof(record) + 4;
	}
	(void)sendto(s->fd, m, end, 0, (struct sockaddr *)&from, from_len);
}

struct house {
	struct ev_loop *loop;
	struct server server;
	struct bf_resolver *resolver;
};

static void house_open(struct house *h, const char *hosts_path)
{
	static const struct bf_clock_source source = {shifted, shifted, NULL};
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	struct bf_err err = {0};

	memset(h, 0, sizeof(*h));
	skipped_ns = 0;
	bf_clock_set_source(&source);
	h->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	h->server.ip = "192.0.2.7";
	h->server.ttl = 60;
	h->server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(h->server.fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(h->server.fd, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(h->server.address, sizeof(h->server.address), "127.0.0.1:%u",
		       ntohs(sin.sin_port));
	ev_io_init(&h->server.io, on_question, h->server.fd, EV_READ);
	h->server.io.data = &h->server;
	ev_io_start(h->loop, &h->server.io);
	const struct bf_resolver_options options = {hosts_path ? hosts_path : "/tmp/no/hosts",
						    h->server.address};
	if (bf_resolver_new(&options, &h->resolver, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(bf_resolver_add(h->resolver, BF_SLICE_LIT("api.test.")), 0);
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
	char reason[128];
};

static void on_answer(struct bf_resolve_wait *wait, int code, const char *reason)
{
	struct asker *a = BF_CONTAINER_OF(wait, struct asker, wait);

	a->answers++;
	a->code = code;
	(void)snprintf(a->reason, sizeof(a->reason), "%s", reason);
}

static void turn(struct house *h, int n)
{
	for (int i = 0; i < n; i++) {
		(void)ev_run(h->loop, EVRUN_NOWAIT);
		(void)usleep(1000);
	}
}

static void ask(struct house *h, struct asker *a)
{
	*a = (struct asker){.wait.on_answer = on_answer};
	bf_resolve_ask(h->resolver, BF_SLICE_LIT("api.test."), &a->wait);
	for (int i = 0; i < 2000 && !a->answers; i++)
		turn(h, 1);
	assert_int_equal(a->answers, 1);
}

static size_t known(const struct house *h, const char *host, char out[64])
{
	struct bf_addr addrs[BF_RESOLVE_ADDRS];
	size_t n = bf_resolve_known(h->resolver, bf_slice_from(host), 443, addrs);

	out[0] = '\0';
	if (n)
		(void)bf_addr_format(&addrs[0], out);
	return n;
}

static void what_needs_no_question(void **state BF_UNUSED)
{
	char path[] = "/tmp/test-resolve-XXXXXX", out[64];
	int fd = mkstemp(path);
	struct house h;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "10.9.8.7 inner\n", 15), 15);
	(void)close(fd);
	house_open(&h, path);
	(void)unlink(path);
	assert_int_equal(bf_resolver_add(h.resolver, BF_SLICE_LIT("inner")), 0);
	assert_int_equal(known(&h, "192.0.2.1", out), 1);
	assert_string_equal(out, "192.0.2.1:443");
	assert_int_equal(known(&h, "::1", out), 1);
	assert_int_equal(known(&h, "LocalHost", out), 2);
	assert_string_equal(out, "127.0.0.1:443");
	assert_int_equal(known(&h, "INNER", out), 1);
	assert_string_equal(out, "10.9.8.7:443");
	assert_int_equal(known(&h, "api.test.", out), 0);
	assert_int_equal(known(&h, "never.added", out), 0);
	assert_int_equal(h.server.asked, 0);
	house_close(&h);
}

static void answers_live_for_their_ttl(void **state BF_UNUSED)
{
	static const struct {
		uint32_t ttl;
		int64_t life_s;
	} list[] = {{60, 60}, {0, 5}, {1, 5}, {86400, 300}};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct house h;
		struct asker a;
		char out[64];
		house_open(&h, NULL);
		h.server.ttl = list[i].ttl;
		ask(&h, &a);
		assert_int_equal(a.code, 0);
		assert_int_equal(known(&h, "api.test.", out), 1);
		assert_string_equal(out, "192.0.2.7:443");
		skipped_ns += (list[i].life_s - 1) * INT64_C(1000000000);
		assert_int_equal(known(&h, "api.test.", out), 1);
		skipped_ns += INT64_C(1000000000);
		assert_int_equal(known(&h, "api.test.", out), 0);
		h.server.ip = "192.0.2.8";
		ask(&h, &a);
		assert_int_equal(known(&h, "api.test.", out), 1);
		assert_string_equal(out, "192.0.2.8:443");
		house_close(&h);
	}
}

static void old_answers_outlive_a_broken_server(void **state BF_UNUSED)
{
	struct house h;
	struct asker a;
	char out[64];

	house_open(&h, NULL);
	ask(&h, &a);
	skipped_ns += 61 * INT64_C(1000000000);
	h.server.rcode = 3;
	ask(&h, &a);
	assert_int_equal(a.code, 0);
	assert_int_equal(known(&h, "api.test.", out), 1);
	skipped_ns += 5 * INT64_C(1000000000);
	assert_int_equal(known(&h, "api.test.", out), 0);
	house_close(&h);
}

static void a_name_that_is_not_there(void **state BF_UNUSED)
{
	struct house h;
	struct asker a;

	house_open(&h, NULL);
	h.server.rcode = 3;
	ask(&h, &a);
	assert_int_equal(a.code, BF_E_UNKNOWN);
	assert_non_null(strstr(a.reason, "not found"));
	h.server.rcode = 0;
	ask(&h, &a); /* a failure is not remembered */
	assert_int_equal(a.code, 0);
	house_close(&h);
}

static void many_askers_one_question(void **state BF_UNUSED)
{
	struct asker a[5];
	struct house h;

	house_open(&h, NULL);
	for (size_t i = 0; i < 5; i++) {
		a[i] = (struct asker){.wait.on_answer = on_answer};
		bf_resolve_ask(h.resolver, BF_SLICE_LIT("api.test."), &a[i].wait);
	}
	bf_resolve_cancel(&a[1].wait);
	bf_resolve_cancel(&a[4].wait);
	bf_resolve_cancel(&a[4].wait);
	for (int i = 0; i < 2000 && !a[0].answers; i++)
		turn(&h, 1);
	turn(&h, 3);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(a[i].answers, i == 1 || i == 4 ? 0 : 1);
	assert_int_equal(h.server.asked, 1);
	house_close(&h);
}

static void freed_while_it_asks(void **state BF_UNUSED)
{
	struct asker a = {.wait.on_answer = on_answer};
	struct house h;

	house_open(&h, NULL);
	bf_resolve_ask(h.resolver, BF_SLICE_LIT("api.test."), &a.wait);
	bf_resolve_cancel(&a.wait);
	house_close(&h);
	assert_int_equal(a.answers, 0);
}

static void bounds(void **state BF_UNUSED)
{
	struct asker a = {.wait.on_answer = on_answer};
	char name[300];
	struct house h;

	house_open(&h, NULL);
	memset(name, 'a', sizeof(name));
	assert_int_equal(bf_resolver_add(h.resolver, (struct bf_slice){name, 254}), BF_E_LIMIT);
	assert_int_equal(bf_resolver_add(h.resolver, (struct bf_slice){name, 253}), 0);
	for (int i = 2; i < (int)BF_RESOLVE_NAMES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(bf_resolver_add(h.resolver, bf_slice_from(name)), 0);
	}
	assert_int_equal(bf_resolver_add(h.resolver, BF_SLICE_LIT("one-more")), BF_E_FULL);
	assert_int_equal(bf_resolver_add(h.resolver, BF_SLICE_LIT("N7")), 0); /* is there */
	bf_resolve_ask(h.resolver, BF_SLICE_LIT("one-more"), &a.wait);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.code, BF_E_UNKNOWN);
	house_close(&h);
}

/* A name gives way when the last of those who need it went, and not while an answer is on its way.
 */
static void names_give_way(void **state BF_UNUSED)
{
	struct asker a = {.wait.on_answer = on_answer};
	char name[16];
	struct house h;

	house_open(&h, NULL);
	for (int i = 1; i < (int)BF_RESOLVE_NAMES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(bf_resolver_add(h.resolver, bf_slice_from(name)), 0);
	}
	assert_int_equal(bf_resolver_add(h.resolver, BF_SLICE_LIT("n7")), 0);
	bf_resolver_drop(h.resolver, BF_SLICE_LIT("n7"));
	bf_resolver_drop(h.resolver, BF_SLICE_LIT("nobody"));
	assert_int_equal(bf_resolver_add(h.resolver, BF_SLICE_LIT("one-more")), BF_E_FULL);
	bf_resolve_ask(h.resolver, BF_SLICE_LIT("api.test."), &a.wait);
	bf_resolver_drop(h.resolver, BF_SLICE_LIT("api.test."));
	bf_resolve_cancel(&a.wait);
	assert_int_equal(bf_resolver_add(h.resolver, BF_SLICE_LIT("one-more")), BF_E_FULL);
	bf_resolver_drop(h.resolver, BF_SLICE_LIT("N7"));
	assert_int_equal(bf_resolver_add(h.resolver, BF_SLICE_LIT("one-more")), 0);
	assert_int_equal(bf_resolver_add(h.resolver, BF_SLICE_LIT("n7")), BF_E_FULL);
	house_close(&h);
}

static void bad_servers(void **state BF_UNUSED)
{
	const struct bf_resolver_options options = {"/tmp/no/hosts", "not an address"};
	struct bf_resolver *r = NULL;
	struct bf_err err = {0};

	assert_true(bf_resolver_new(&options, &r, &err) < 0);
	assert_null(r);
	assert_non_null(strstr(err.text, "not an address"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_needs_no_question),
	    cmocka_unit_test(answers_live_for_their_ttl),
	    cmocka_unit_test(old_answers_outlive_a_broken_server),
	    cmocka_unit_test(a_name_that_is_not_there),
	    cmocka_unit_test(many_askers_one_question),
	    cmocka_unit_test(freed_while_it_asks),
	    cmocka_unit_test(bounds),
	    cmocka_unit_test(names_give_way),
	    cmocka_unit_test(bad_servers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
