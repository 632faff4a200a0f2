/* Usual heads, which llhttp does not see, are read as it would read them. */
#include "tests/unit/proxyd/front/http1_seen.h"

#define HOST "Host: a\r\n"

static const char *const usual_heads[] = {
    "GET / HTTP/1.1\r\n" HOST "\r\n",
    "GET /a?b=c&d HTTP/1.1\r\n" HOST "X-Request-Id: r \r\nConnection: Keep-Alive\r\n\r\n",
    "POST /v1/chat HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    "POST /v1 HTTP/1.1\r\n" HOST "content-length:003\r\nContent-Encoding: gzip\r\n\r\nabcGET /",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nA:\r\nB: \r\n\r\n",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nConnection: close\r\n\r\na",
    "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nProxy-Connection: close\r\n\r\na",
    "GET / HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    "POST /v1 HTTP/1.1\r\n" HOST "A: caf\xc3\xa9\tb\r\nContent-Length: 2\r\n\r\nab",
    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
    "3\r\nabc\r\n0\r\n\r\n",
    "GET / HTTP/1.0\r\nA: b\r\n\r\n",
    "GETS / HTTP/1.1\r\n" HOST "\r\n",
};

static void reads_usual_heads_as_llhttp_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(usual_heads) / sizeof(usual_heads[0]); i++)
		expect_as_llhttp(usual_heads[i], strlen(usual_heads[i]));
}

/* Every byte in every place of them: what is taken here is what llhttp takes. */
static void reads_broken_heads_as_llhttp_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(usual_heads) / sizeof(usual_heads[0]); i++) {
		size_t len = strlen(usual_heads[i]);
		for (size_t at = 0; at < len; at++) {
			for (int byte = 0; byte < 256; byte++) {
				char text[256];

				memcpy(text, usual_heads[i], len + 1);
				text[at] = (char)byte;
				if (text[0] != '\r')
					expect_as_llhttp(text, len);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_usual_heads_as_llhttp_does),
	    cmocka_unit_test(reads_broken_heads_as_llhttp_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
