/*
 * Where a document is to be had, hop by hop. Called by the reader. Must never go where the one who
 * wrote the address did not mean to: redirects lead neither to plain HTTP nor into this network.
 */
#include "common/net/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/net/fetch_priv.h"
#include "common/net/tls.h"

#define CERTIFICATES_MAX (4u << 20)

/* ---- the end */

static void leave_host(struct bf_fetcher *f)
{
	if (f->is_named)
		bf_resolver_drop(f->resolver, bf_slice_from(f->host));
	f->is_named = false;
	curl_free(f->host);
	f->host = NULL;
}

static void clean(struct bf_fetcher *f)
{
	bf_resolve_cancel(&f->wait);
	fetch_multi_stop(f);
	ev_timer_stop(f->loop, &f->limit);
	leave_host(f);
	free(f->url);
	f->url = NULL;
	f->runs = false;
}

static void tell(struct bf_fetcher *f, int code, int http_status, const char *why)
{
	struct bf_buf body = f->body;
	const struct bf_fetched fetched = {.code = code,
					   .http_status = http_status,
					   .why = why,
					   .body = bf_buf_slice(&body),
					   .etag = f->etag};

	/* Whoever is told may begin the next one, which has a body of its own. */
	memset(&f->body, 0, sizeof(f->body));
	clean(f);
	f->what.done(f->what.owner, &fetched);
	bf_buf_done(&body);
}

static void fail(struct bf_fetcher *f, int code, const char *fmt, ...) BF_PRINTF(3, 4);
static void fail(struct bf_fetcher *f, int code, const char *fmt, ...)
{
	char why[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	f->etag[0] = '\0';
	bf_buf_clear(&f->body);
	tell(f, code, 0, why);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct bf_fetcher *f = w->data;

	(void)loop;
	(void)revents;
	fail(f, BF_E_TIMEOUT, "no whole answer within %lld s", (long long)f->what.limit_ms / 1000);
}

/* ---- a hop */

/* Scheme, host and port of f->url. */
static int split(struct bf_fetcher *f, bool *ret_is_plain)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *port = NULL, *user = NULL;
	int r = BF_E_SYNTAX;

	if (u && curl_url_set(u, CURLUPART_URL, f->url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &f->host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
		r = 0;
	if (r == 0 && curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
		r = BF_E_DENIED;
	if (r == 0 && strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
		r = BF_E_DENIED;
	if (r == 0) {
		size_t n = strlen(f->host);

		*ret_is_plain = scheme[4] == '\0';
		f->port = strtoul(port, NULL, 10);
		if (f->host[0] == '[' && n > 2) {
			memmove(f->host, f->host + 1, n - 2);
			f->host[n - 2] = '\0';
		}
	}
	curl_free(scheme);
	curl_free(port);
	curl_free(user);
	curl_url_cleanup(u);
	return r;
}

const char *fetch_objection(struct bf_fetcher *f, bool is_plain, const struct bf_addr *addrs,
			    size_t count)
{
	bool outside = false, inside = false;

	for (size_t i = 0; i < count; i++) {
		enum bf_addr_scope scope = bf_addr_scope(&addrs[i]);

		if (scope == BF_ADDR_LINK_LOCAL || scope == BF_ADDR_NOWHERE)
			return "no server may be at its address";
		if (is_plain && scope != BF_ADDR_LOOPBACK)
			return "plain http is for this machine alone: use https";
		outside |= scope == BF_ADDR_GLOBAL;
		inside |= scope != BF_ADDR_GLOBAL;
	}
	if (f->hops == 0)
		f->from_outside = outside;
	else if (f->from_outside && inside)
		return "a server elsewhere redirects into this network";
	return NULL;
}

static void go(struct bf_fetcher *f, bool asked)
{
	struct bf_addr addrs[BF_RESOLVE_ADDRS];
	struct bf_slice host = bf_slice_from(f->host);
	size_t count = bf_resolve_known(f->resolver, host, (uint16_t)f->port, addrs);
	bool is_plain = strncmp(f->url, "http:", 5) == 0;
	const char *no;

	if (count == 0) {
		if (asked)
			fail(f, BF_E_CLOSED, "%s: has no address", f->host);
		else
			bf_resolve_ask(f->resolver, host, &f->wait);
		return;
	}
	no = fetch_objection(f, is_plain, addrs, count);
	if (no)
		fail(f, BF_E_DENIED, "%s: %s", f->host, no);
	else if (fetch_multi_go(f, addrs, count) < 0)
		fail(f, -ENOMEM, "out of memory");
}

static void on_address(struct bf_resolve_wait *wait, int code, const char *reason)
{
	struct bf_fetcher *f =
	    (struct bf_fetcher *)(void *)((char *)wait - offsetof(struct bf_fetcher, wait));

	if (code < 0)
		fail(f, BF_E_CLOSED, "%s: %s", f->host, reason);
	else
		go(f, true);
}

/* Takes f->url. */
static void hop(struct bf_fetcher *f)
{
	bool is_plain = false;
	int r = strlen(f->url) > BF_FETCH_URL_MAX ? BF_E_LIMIT : split(f, &is_plain);

	if (r == 0 && is_plain && strncmp(f->what.url, "https:", 6) == 0)
		r = BF_E_DENIED;
	if (r < 0) {
		fail(f, BF_E_DENIED, "%s: must be https, or http on this machine, and name no user",
		     f->hops ? "where it redirects to" : "the address");
		return;
	}
	r = bf_resolver_add(f->resolver, bf_slice_from(f->host));
	f->is_named = r == 0;
	if (r < 0)
		fail(f, r, "%.200s: %s", f->host,
		     r == BF_E_LIMIT ? "is no name of a server" : bf_err_text(r));
	else
		go(f, false);
}

/* ---- answers */

static int code_of(const struct bf_fetcher *f, CURLcode result)
{
	if (f->too_large || result == CURLE_FILESIZE_EXCEEDED)
		return BF_E_LIMIT;
	return result == CURLE_OPERATION_TIMEDOUT ? BF_E_TIMEOUT : BF_E_CLOSED;
}

static void redirect(struct bf_fetcher *f, const char *to)
{
	char *next = to ? strdup(to) : NULL;

	if (!next || f->hops == f->what.redirects) {
		free(next);
		fail(f, BF_E_DENIED, "%u redirects, and then another%s", f->hops,
		     to ? "" : " to nowhere");
		return;
	}
	fetch_multi_stop(f);
	leave_host(f);
	free(f->url);
	f->url = next;
	f->hops++;
	hop(f);
}

void fetch_arrived(struct bf_fetcher *f, CURLcode result)
{
	const char *to = NULL;
	long http_status = 0;

	if (result != CURLE_OK) {
		int code = code_of(f, result);

		fail(f, code, "%s",
		     code == BF_E_LIMIT ? "the document is too large"
		     : f->curl_error[0] ? f->curl_error
					: curl_easy_strerror(result));
		return;
	}
	if (!f->head_ended) {
		fail(f, BF_E_CLOSED, "%s closed before it had answered", f->host);
		return;
	}
	(void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &http_status);
	(void)curl_easy_getinfo(f->easy, CURLINFO_REDIRECT_URL, &to);
	if (http_status == 200 || (http_status == 304 && f->what.etag[0]))
		tell(f, 0, (int)http_status, "");
	else if (http_status == 301 || http_status == 302 || http_status == 303 ||
		 http_status == 307 || http_status == 308)
		redirect(f, to);
	else
		fail(f, BF_E_STATE, "%s answered with status %ld", f->host, http_status);
}

/* ---- public */

/* What there is of them: with none everybody is refused, and each refusal says so. */
static void read_certificates(struct bf_fetcher *f, const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = 1;

	bf_buf_init(&f->certificates, CERTIFICATES_MAX);
	while (fd >= 0 && n > 0 && bf_buf_reserve(&f->certificates, 65536) == 0) {
		n = read(fd, f->certificates.data + f->certificates.end, 65536);
		if (n > 0)
			f->certificates.end += (size_t)n;
	}
	if (fd >= 0)
		(void)close(fd);
}

int bf_fetcher_new(const struct bf_fetcher_options *options, struct bf_fetcher **ret_fetcher,
		   struct bf_err *err)
{
	struct bf_fetcher *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return bf_err_sys(err, -ENOMEM, "fetch");
	ev_timer_init(&f->limit, on_limit, 0., 0.);
	f->limit.data = f;
	f->wait.on_answer = on_address;
	r = fetch_multi_open(f, err);
	if (r == 0) {
		f->user_agent = strdup(options->user_agent);
		r = f->user_agent ? 0 : bf_err_sys(err, -ENOMEM, "fetch");
	}
	if (r == 0)
		r = bf_resolver_new(options->resolver, &f->resolver, err);
	if (r < 0) {
		bf_fetcher_free(f);
		return r;
	}
	read_certificates(f, options->certificates ? options->certificates : bf_tls_bundle_path());
	*ret_fetcher = f;
	return 0;
}

void bf_fetcher_start(struct bf_fetcher *f, struct ev_loop *loop)
{
	f->loop = loop;
	bf_resolver_start(f->resolver, loop);
}

void bf_fetcher_free(struct bf_fetcher *f)
{
	if (!f)
		return;
	bf_fetch_cancel(f);
	fetch_multi_close(f);
	bf_resolver_free(f->resolver);
	bf_buf_done(&f->certificates);
	free(f->user_agent);
	free(f);
}

bool bf_fetch_runs(const struct bf_fetcher *f)
{
	return f->runs;
}

void bf_fetch_cancel(struct bf_fetcher *f)
{
	if (!f->runs)
		return;
	clean(f);
	bf_buf_done(&f->body);
}

/* It begins with a turn of the loop, so that done() never comes before this returns. */
static void on_begin(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct bf_fetcher *f = w->data;

	(void)revents;
	ev_timer_stop(loop, w);
	ev_timer_init(w, on_limit, 0., 0.);
	ev_timer_set(w, (double)f->what.limit_ms / 1000., 0.);
	ev_timer_start(loop, w);
	hop(f);
}

int bf_fetch_begin(struct bf_fetcher *f, const struct bf_fetch *what)
{
	if (f->runs)
		return BF_E_FULL;
	f->url = strdup(what->url);
	if (!f->url)
		return -ENOMEM;
	f->what = *what;
	f->hops = 0;
	f->from_outside = f->too_large = false;
	f->runs = true;
	bf_buf_init(&f->body, what->max_bytes);
	ev_timer_init(&f->limit, on_begin, 0., 0.);
	ev_timer_start(f->loop, &f->limit);
	return 0;
}
