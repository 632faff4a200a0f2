/*
 * One document over HTTP or HTTPS, on the event loop, for processes that are nobody's request path.
 * Made before the sandbox, which is when certificates, resolv.conf and the hosts file are read;
 * afterwards it opens no file and makes no thread: names are looked up by resolve.h. No proxies.
 */
#pragma once

#include <ev.h>

#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/net/resolve.h"

#define BF_FETCH_ETAG_MAX 256u
#define BF_FETCH_URL_MAX  2048u

struct bf_fetcher;

struct bf_fetcher_options {
	const struct bf_resolver_options *resolver; /* NULL: the system's */
	const char *certificates;                   /* a PEM file; NULL: the system's bundle */
	const char *user_agent;
};

struct bf_fetched {
	/* 0: http_status is 200, with the body, or 304. Else why, in a line: BF_E_TIMEOUT,
	 * BF_E_LIMIT (too large), BF_E_DENIED (where it leads is not allowed), BF_E_CLOSED (cut, or
	 * not reached), BF_E_STATE (another status). */
	int code;
	int http_status;
	const char *why;
	struct bf_slice body; /* during the call */
	const char *etag;     /* terminated; "": none */
};

struct bf_fetch {
	const char *url;  /* https, or http to this machine */
	const char *etag; /* "": whatever there is; else a 304 may be the answer */
	size_t max_bytes;
	int64_t limit_ms;   /* all of it, redirects too */
	unsigned redirects; /* are followed */
	/* Once, from the loop. May begin another one. */
	void (*done)(void *owner, const struct bf_fetched *fetched);
	void *owner;
};

/* A missing bundle of certificates is no error: then every https server is refused. */
int bf_fetcher_new(const struct bf_fetcher_options *options, struct bf_fetcher **ret_fetcher,
		   struct bf_err *err);
void bf_fetcher_start(struct bf_fetcher *f, struct ev_loop *loop);
/* Accepts NULL. done() of one that runs is not called. */
void bf_fetcher_free(struct bf_fetcher *f);

/* what is copied, but for url and etag, which must live until done(). One at a time: BF_E_FULL. */
int bf_fetch_begin(struct bf_fetcher *f, const struct bf_fetch *what);
/* done() is not called. */
void bf_fetch_cancel(struct bf_fetcher *f);
bool bf_fetch_runs(const struct bf_fetcher *f);
