/* Asking a provider for its models, from a server in this process: what goes out, what is told of
 * each kind of answer, in whole, in pieces and cut, and that a call can be stopped at any moment.
 */
#include <arpa/inet.h>
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

#define SECRET "sk-of-a-provider"

/* What the sink heard. */
static struct {
	char text[4096], type[64], why[400];
	size_t len;
	unsigned heads, ends, repeats;
	enum exchange_fault fault;
	int http_status;
	bool refuse; /* the next piece does not fit */
} heard;

static void on_head(struct exchange *x BF_UNUSED, int http_status, bool is_stream)
{
	assert_int_equal(http_status, 200);
	assert_false(is_stream);
	heard.heads++;
}

static bool on_body(struct exchange *x, struct bf_slice bytes)
{
	assert_int_equal(heard.heads, 1);
	assert_int_equal(heard.ends, 0);
	if (heard.refuse) {
		x->call_cancel(x);
		heard.ends++;
		exchange_set_state(x, EXCHANGE_DONE);
		return false;
	}
	assert_true(heard.len + bytes.len < sizeof(heard.text));
	memcpy(heard.text + heard.len, bytes.ptr, bytes.len);
	heard.len += bytes.len;
	return true;
}

static void on_repeat(struct exchange *x BF_UNUSED)
{
	heard.repeats++;
}

static void on_done(struct exchange *x, const struct exchange_outcome *o)
{
	heard.ends++;
	heard.fault = o->fault;
	heard.http_status = o->http_status;
	(void)snprintf(heard.type, sizeof(heard.type), "%s", o->error_type ? o->error_type : "");
	(void)snprintf(heard.why, sizeof(heard.why), "%s", o->error_text ? o->error_text : "");
	exchange_set_state(x, EXCHANGE_DONE);
}

static const struct exchange_sink sink = {
    .on_head = on_head, .on_body = on_body, .on_repeat = on_repeat, .on_done = on_done};

/* ---- a worker before a server */

static struct harness h;
static int listener, fd;
static char url[64], request[4096];
static struct exchange *x;
static struct bf_conf_provider_key key;
static struct bf_conf_pair extra[] = {{BF_SLICE_INIT("X-Org"), BF_SLICE_INIT("blue")}};

static void with_server(struct bf_config *config)
{
	struct bf_conf_provider *p = harness_mock(config);

	key = (struct bf_conf_provider_key){.id = BF_SLICE_LIT("k"),
					    .name = BF_SLICE_LIT("k"),
					    .value = BF_SLICE_LIT(SECRET),
					    .weight_micro = 1000000,
					    .enabled = true};
	p->name = BF_SLICE_LIT("served");
	p->keys = (struct bf_array){&key, 1};
	p->network_config.base_url = bf_slice_from(url);
	p->network_config.request_timeout_ms = 30000;
	p->network_config.extra_headers = (struct bf_array){extra, 1};
}

static int setup(void **state BF_UNUSED)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/base", ntohs(sin.sin_port));
	harness_open(&h, with_server);
	fd = -1;
	return 0;
}

static int teardown(void **state BF_UNUSED)
{
	if (fd >= 0)
		(void)close(fd);
	harness_close(&h);
	(void)close(listener);
	return 0;
}

static void asks(bool with_key)
{
	static const struct exchange_header headers[] = {
	    {BF_SLICE_INIT("Authorization"), BF_SLICE_INIT("Bearer of-the-gateway")},
	    {BF_SLICE_INIT("x-bf-eh-x-more"), BF_SLICE_INIT("1")},
	};
	struct provider *p = h.w.providers->items[0];

	memset(&heard, 0, sizeof(heard));
	x = exchange_new(&h.w);
	assert_non_null(x);
	x->headers = headers;
	x->header_count = BF_ARRAY_LEN(headers);
	x->key = with_key ? &key : NULL;
	x->sink = &sink;
	exchange_set_state(x, EXCHANGE_GATE);
	exchange_set_state(x, EXCHANGE_CALLING);
	p->ops->list(p, x);
}

static void turn(void)
{
	harness_turns(&h, 1);
	(void)usleep(50);
}

static bool has_request(size_t got)
{
	return memmem(request, got, "\r\n\r\n", 4) != NULL;
}

/* The request is there; a connection that is kept is used again. */
static void arrives(void)
{
	int one = 1;
	size_t got = 0;

	for (int i = 0; i < 5000 && fd < 0; i++) {
		turn();
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	assert_true(fd >= 0);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (int i = 0; i < 5000 && !has_request(got); i++) {
		ssize_t n = recv(fd, request + got, sizeof(request) - 1 - got, 0);

		got += n > 0 ? (size_t)n : 0;
		turn();
	}
	assert_true(has_request(got));
	request[got] = '\0';
}

static void says(const char *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void hangs_up(void)
{
	(void)close(fd);
	fd = -1;
}

static void ends(void)
{
	for (int i = 0; i < 20000 && !heard.ends; i++)
		turn();
	assert_int_equal(heard.ends, 1);
	exchange_free(x);
	harness_turns(&h, 2);
}

static void told(enum exchange_fault fault, int http_status, const char *type)
{
	assert_int_equal(heard.fault, fault);
	assert_int_equal(heard.http_status, http_status);
	assert_string_equal(heard.type, type);
}

#define BODY "{\"data\":[{\"id\":\"a\"}]}"
#define GOOD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n" BODY

_Static_assert(sizeof(BODY) - 1 == 21, "the length that is told");

/* ---- */

static void what_is_sent(void **state BF_UNUSED)
{
	char wanted[512];
	const char *host = url + strlen("http://");

	(void)snprintf(wanted, sizeof(wanted),
		       "GET /base/v1/models HTTP/1.1\r\nHost: %.*s\r\nAccept: application/json\r\n"
		       "Accept-Encoding: identity\r\nUser-Agent: bifrost/1.2.3\r\nX-Org: blue\r\n"
		       "Authorization: Bearer " SECRET "\r\n\r\n",
		       (int)strcspn(host, "/"), host);
	asks(true);
	arrives();
	assert_string_equal(request, wanted);
	says(GOOD, sizeof(GOOD) - 1);
	ends();
	told(EXCHANGE_FAULT_NONE, 200, "");
	assert_string_equal(heard.text, BODY);
	/* The connection is kept, and nobody's key is sent where there is none. */
	asks(false);
	arrives();
	assert_null(strstr(request, "uthorization"));
	says(GOOD, sizeof(GOOD) - 1);
	ends();
	told(EXCHANGE_FAULT_NONE, 200, "");
}

static void errors_without_their_words(void **state BF_UNUSED)
{
	static const struct {
		int status;
		const char *type;
	} cases[] = {
	    {301, "upstream_refused"},     {400, "upstream_refused"},
	    {401, "upstream_auth_failed"}, {403, "upstream_auth_failed"},
	    {404, "upstream_refused"},     {429, "upstream_rate_limited"},
	    {500, "upstream_error"},       {503, "upstream_error"},
	};
	char answer[512], wanted[64];

	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		int n = snprintf(answer, sizeof(answer),
				 "HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\n"
				 "Content-Length: 42\r\n\r\n{\"error\":{\"message\":\"" SECRET
				 "1234\"}}",
				 cases[i].status);

		asks(true);
		arrives();
		says(answer, (size_t)n);
		ends();
		told(EXCHANGE_FAULT_STATUS, cases[i].status, cases[i].type);
		(void)snprintf(wanted, sizeof(wanted), "the provider answered with status %d",
			       cases[i].status);
		assert_string_equal(heard.why, wanted);
		assert_int_equal(heard.heads, 0);
		hangs_up();
	}
}

static void what_cannot_be_read(void **state BF_UNUSED)
{
	static const char *const answers[] = {
	    "this is not HTTP\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(answers); i++) {
		asks(true);
		arrives();
		says(answers[i], strlen(answers[i]));
		ends();
		told(EXCHANGE_FAULT_NETWORK, 502, "upstream_protocol_error");
		hangs_up();
	}
}

static void byte_by_byte(void **state BF_UNUSED)
{
	asks(true);
	arrives();
	for (size_t i = 0; i < sizeof(GOOD) - 1; i++) {
		says(&GOOD[i], 1);
		turn();
	}
	ends();
	told(EXCHANGE_FAULT_NONE, 200, "");
	assert_string_equal(heard.text, BODY);
}

static void cut_at_every_byte(void **state BF_UNUSED)
{
	for (size_t len = 0; len < sizeof(GOOD) - 1; len++) {
		asks(true);
		arrives();
		says(GOOD, len);
		hangs_up();
		ends();
		assert_int_equal(heard.fault, EXCHANGE_FAULT_NETWORK);
		assert_int_equal(heard.http_status, 502);
	}
}

/* In which moment a call is stopped: nothing more is reported, and nothing is left. */
static void stopped(void **state BF_UNUSED)
{
	for (int moment = 0; moment < 4; moment++) {
		asks(true);
		if (moment > 0)
			arrives();
		if (moment > 1)
			says(GOOD, moment == 2 ? 20 : sizeof(GOOD) - 5);
		for (int i = 0; moment > 1 && i < 20; i++)
			turn();
		assert_int_equal(heard.ends, 0);
		assert_int_equal(heard.heads, moment == 3);
		x->call_cancel(x);
		exchange_set_state(x, EXCHANGE_DONE);
		exchange_free(x);
		harness_turns(&h, 5);
		assert_int_equal(heard.ends, 0);
		if (fd < 0)
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		hangs_up();
	}
}

static void a_piece_that_does_not_fit(void **state BF_UNUSED)
{
	asks(true);
	heard.refuse = true;
	arrives();
	says(GOOD, sizeof(GOOD) - 1);
	ends();
}

static void nobody_listens(void **state BF_UNUSED)
{
	(void)close(listener);
	asks(true);
	ends();
	told(EXCHANGE_FAULT_NETWORK, 502, "upstream_connect_failed");
	assert_null(strstr(heard.why, SECRET));
}

static void headers_that_do_not_fit(void **state BF_UNUSED)
{
	size_t len = 98u << 10;
	char *text = malloc(len);

	assert_non_null(text);
	memset(text, 'v', len);
	extra[0].value = (struct bf_slice){text, len};
	asks(true);
	assert_int_equal(heard.ends, 1);
	told(EXCHANGE_FAULT_LOCAL, 503, "out_of_memory");
	extra[0].value = BF_SLICE_LIT("blue");
	exchange_free(x);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_sent, setup, teardown),
	    cmocka_unit_test_setup_teardown(errors_without_their_words, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_cannot_be_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(byte_by_byte, setup, teardown),
	    cmocka_unit_test_setup_teardown(cut_at_every_byte, setup, teardown),
	    cmocka_unit_test_setup_teardown(stopped, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_piece_that_does_not_fit, setup, teardown),
	    cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
	    cmocka_unit_test_setup_teardown(headers_that_do_not_fit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
