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
#include "tests/unit/common/net/name_server.h"

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
