/* What the command line asks of the load generator. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_HEADERS 16

struct options {
	const char *host, *port; /* host: an address */
	char host_text[64];
	bool tls;
	const char *path;
	uint64_t rate_micro; /* 0: closed loop */
	uint32_t connections;
	double duration_s, warmup_s, timeout_s;
	const char *body_file;
	uint64_t body_bytes;
	const char *model;
	bool stream, usage, verify, request_ids;
	const char *headers[OPTIONS_HEADERS];
	uint32_t header_count;
	const char *user_prefix; /* NULL: no user */
	const char *ledger, *json;
	bool idle;         /* one request per connection, then hold it */
	uint64_t requests; /* 0: no end but the duration's */
};

/* 0, or -1 after a line on stderr. */
int options_read(struct options *o, int argc, char **argv);
