/* What the halves of fetch share: fetch.c decides where to go, fetch_multi.c goes there. */
#pragma once

#include <curl/curl.h>

#include "common/base/buf.h"
#include "common/net/fetch.h"

#define FETCH_SOCKETS_MAX    8u
#define FETCH_HEAD_MAX_BYTES 32768u /* of a hop, whatever comes before the answer as well */

struct fetch_socket {
	ev_io io; /* io.fd -1: free */
	struct bf_fetcher *fetcher;
};

struct bf_fetcher {
	struct ev_loop *loop;
	struct bf_resolver *resolver;
	CURLM *multi;
	char *user_agent;
	struct bf_buf certificates; /* PEM */
	struct fetch_socket sockets[FETCH_SOCKETS_MAX];
	ev_timer timer; /* curl's */
	ev_timer limit;

	/* Of the one that runs: */
	bool runs;
	struct bf_fetch what;
	unsigned hops;      /* redirects so far */
	bool from_outside;  /* the first server is, or may be, none of this network */
	char *url;          /* of this hop */
	char *host;         /* without brackets */
	bool is_named;      /* the resolver keeps it for us */
	unsigned long port; /* 0: none yet */
	struct bf_resolve_wait wait;
	CURL *easy; /* NULL: still looking the name up */
	struct curl_slist *resolved, *headers;
	char curl_error[CURL_ERROR_SIZE];
	struct bf_buf body;
	size_t head_bytes;
	bool too_large;
	bool head_ended; /* curl takes one that is cut for whole */
	char etag[BF_FETCH_ETAG_MAX + 1];
};

int fetch_multi_open(struct bf_fetcher *f, struct bf_err *err);
void fetch_multi_close(struct bf_fetcher *f);

/* Asks for f->url at these addresses; fetch_arrived() follows. 0 or -ENOMEM. */
int fetch_multi_go(struct bf_fetcher *f, const struct bf_addr *addrs, size_t count);
/* Hangs up. */
void fetch_multi_stop(struct bf_fetcher *f);

/* fetch.c: why the server of this hop may not be asked; NULL: it may. */
const char *fetch_objection(struct bf_fetcher *f, bool is_plain, const struct bf_addr *addrs,
			    size_t count);
/* fetch.c: the answer of this hop is whole, or there is none. */
void fetch_arrived(struct bf_fetcher *f, CURLcode result);
