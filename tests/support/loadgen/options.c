/* Reads the command line for main.c; must refuse what makes no sense together. */
#include "tests/support/loadgen/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/base/num.h"

static const char usage_text[] =
    "loadgen --target ADDRESS:PORT (--rate R | --closed | --idle N) [options]\n"
    "\n"
    "  --rate R           open loop: R requests a second whatever comes of them (0.5, 10000);\n"
    "                     latency counts from the intended time of sending\n"
    "  --closed           each connection asks again as soon as it was answered\n"
    "  --idle N           N connections, one request each, then held for --duration\n"
    "  --connections N    64; --duration S 10; --warmup S 0 (not in the report); --timeout S 60\n"
    "  --requests N       no more than so many\n"
    "  --path P           /v1/chat/completions; its end decides the shape of the body\n"
    "  --tls              (nothing is verified)\n"
    "  --model M          openai/m\n"
    "  --body-bytes B     a chat of that size, text with escapes; --body FILE: these bytes\n"
    "  --stream           asks for a stream; --usage: with its usage\n"
    "  --header 'K: V'    repeatable\n"
    "  --user-prefix P    \"user\":\"P-0000000001\" in each body; --request-ids: also "
    "x-request-id\n"
    "  --verify           the answers are mockllm's: every word is checked\n"
    "  --ledger FILE      a line per request; --json FILE: the report as JSON (- is stdout)\n";

enum {
	OPT_TARGET = 1,
	OPT_RATE,
	OPT_CLOSED,
	OPT_IDLE,
	OPT_CONNECTIONS,
	OPT_DURATION,
	OPT_WARMUP,
	OPT_TIMEOUT,
	OPT_REQUESTS,
	OPT_PATH,
	OPT_TLS,
	OPT_MODEL,
	OPT_BODY_BYTES,
	OPT_BODY,
	OPT_STREAM,
	OPT_USAGE,
	OPT_HEADER,
	OPT_USER_PREFIX,
	OPT_REQUEST_IDS,
	OPT_VERIFY,
	OPT_LEDGER,
	OPT_JSON,
};

#define TAKES(name, number)                           \
	{                                             \
		name, required_argument, NULL, number \
	}
#define FLAG(name, number)                      \
	{                                       \
		name, no_argument, NULL, number \
	}

static const struct option known[] = {
    TAKES("target", OPT_TARGET),
    TAKES("rate", OPT_RATE),
    FLAG("closed", OPT_CLOSED),
    TAKES("idle", OPT_IDLE),
    TAKES("connections", OPT_CONNECTIONS),
    TAKES("duration", OPT_DURATION),
    TAKES("warmup", OPT_WARMUP),
    TAKES("timeout", OPT_TIMEOUT),
    TAKES("requests", OPT_REQUESTS),
    TAKES("path", OPT_PATH),
    FLAG("tls", OPT_TLS),
    TAKES("model", OPT_MODEL),
    TAKES("body-bytes", OPT_BODY_BYTES),
    TAKES("body", OPT_BODY),
    FLAG("stream", OPT_STREAM),
    FLAG("usage", OPT_USAGE),
    TAKES("header", OPT_HEADER),
    TAKES("user-prefix", OPT_USER_PREFIX),
    FLAG("request-ids", OPT_REQUEST_IDS),
    FLAG("verify", OPT_VERIFY),
    TAKES("ledger", OPT_LEDGER),
    TAKES("json", OPT_JSON),
    {0},
};

static int read_target(struct options *o, const char *text)
{
	const char *colon = strrchr(text, ':');

	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(o->host_text))
		return -1;
	memcpy(o->host_text, text, (size_t)(colon - text));
	o->host = o->host_text;
	o->port = colon + 1;
	return 0;
}

static int read_count(const char *text, uint64_t max, uint64_t *ret)
{
	return bf_parse_u64(bf_slice_from(text), ret) == 0 && *ret > 0 && *ret <= max ? 0 : -1;
}

static int read_seconds(const char *text, double *ret)
{
	int64_t micro;

	if (bf_parse_micro(bf_slice_from(text), &micro) != 0 || micro < 0)
		return -1;
	*ret = (double)micro / 1e6;
	return 0;
}

static int read_rate(struct options *o, const char *text)
{
	int64_t micro;

	if (bf_parse_micro(bf_slice_from(text), &micro) != 0 || micro <= 0)
		return -1;
	o->rate_micro = (uint64_t)micro;
	return 0;
}

static int read_connections(struct options *o, const char *text)
{
	uint64_t n;

	if (read_count(text, 1000000, &n) != 0)
		return -1;
	o->connections = (uint32_t)n;
	return 0;
}

static int add_header(struct options *o, const char *text)
{
	if (o->header_count == OPTIONS_HEADERS || !strchr(text, ':') || strpbrk(text, "\r\n"))
		return -1;
	o->headers[o->header_count++] = text;
	return 0;
}

static int read_numbers(struct options *o, int c, const char *text)
{
	switch (c) {
	case OPT_TARGET:
		return read_target(o, text);
	case OPT_RATE:
		return read_rate(o, text);
	case OPT_IDLE:
		o->idle = true;
		return read_connections(o, text);
	case OPT_CONNECTIONS:
		return read_connections(o, text);
	case OPT_DURATION:
		return read_seconds(text, &o->duration_s);
	case OPT_WARMUP:
		return read_seconds(text, &o->warmup_s);
	case OPT_TIMEOUT:
		return read_seconds(text, &o->timeout_s);
	case OPT_REQUESTS:
		return read_count(text, 1ull << 40, &o->requests);
	case OPT_BODY_BYTES:
		return read_count(text, 1u << 30, &o->body_bytes);
	case OPT_HEADER:
		return add_header(o, text);
	default:
		return -1;
	}
}

static int read_one(struct options *o, int c, const char *text, bool *ret_closed)
{
	const char **texts[] = {
	    [OPT_PATH] = &o->path,     [OPT_MODEL] = &o->model, [OPT_BODY] = &o->body_file,
	    [OPT_LEDGER] = &o->ledger, [OPT_JSON] = &o->json,   [OPT_USER_PREFIX] = &o->user_prefix,
	};
	bool *flags[] = {
	    [OPT_CLOSED] = ret_closed, [OPT_TLS] = &o->tls,
	    [OPT_STREAM] = &o->stream, [OPT_USAGE] = &o->usage,
	    [OPT_VERIFY] = &o->verify, [OPT_REQUEST_IDS] = &o->request_ids,
	};

	if (c > 0 && (size_t)c < BF_ARRAY_LEN(texts) && texts[c]) {
		*texts[c] = text;
		return 0;
	}
	if (c > 0 && (size_t)c < BF_ARRAY_LEN(flags) && flags[c]) {
		*flags[c] = true;
		return 0;
	}
	return read_numbers(o, c, text);
}

int options_read(struct options *o, int argc, char **argv)
{
	bool closed = false;
	int c;

	*o = (struct options){.path = "/v1/chat/completions",
			      .connections = 64,
			      .duration_s = 10,
			      .timeout_s = 60,
			      .body_bytes = 1024,
			      .model = "openai/m"};
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (read_one(o, c, optarg, &closed) != 0) {
			if (c != '?')
				fprintf(stderr, "loadgen: %s: not a value here\n", optarg);
			fputs(usage_text, stderr);
			return -1;
		}
	}
	if (optind != argc || !o->host || (o->rate_micro > 0) + closed + o->idle != 1) {
		fputs(usage_text, stderr);
		return -1;
	}
	if ((o->request_ids || o->verify) && !o->user_prefix) {
		fputs("loadgen: --request-ids and --verify need --user-prefix\n", stderr);
		return -1;
	}
	return 0;
}
