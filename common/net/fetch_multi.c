/*
 * libcurl on a libev loop. Driven by fetch.c. Must never let libcurl look up a name: it would make
 * a thread for it, which no sandbox allows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/macros.h"
#include "common/net/fetch_priv.h"

#define CONNECT_LIMIT_MS 10000L
#define RESOLVE_TEXT_MAX 1024u

/* ---- the loop */

/* Nothing of a transfer may be touched while curl runs: so its end is looked for afterwards. */
static void look(struct bf_fetcher *f)
{
	struct CURLMsg *m;
	int left;

	while (f->easy && (m = curl_multi_info_read(f->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE || m->easy_handle != f->easy)
			continue;
		fetch_arrived(f, m->data.result);
		return;
	}
}

static void act(struct bf_fetcher *f, curl_socket_t fd, int what)
{
	int running;

	(void)curl_multi_socket_action(f->multi, fd, what, &running);
	look(f);
}

static void on_socket(struct ev_loop *loop, ev_io *io, int revents)
{
	struct fetch_socket *s = io->data;

	(void)loop;
	act(s->fetcher, io->fd,
	    (revents & EV_READ ? CURL_CSELECT_IN : 0) |
		(revents & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	act(w->data, CURL_SOCKET_TIMEOUT, 0);
}

static struct fetch_socket *socket_of(struct bf_fetcher *f, int fd)
{
	for (size_t i = 0; i < FETCH_SOCKETS_MAX; i++)
		if (f->sockets[i].io.fd == fd)
			return &f->sockets[i];
	return NULL;
}

static int curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *own)
{
	struct bf_fetcher *f = owner;
	struct fetch_socket *s = socket_of(f, fd);

	(void)easy;
	(void)own;
	if (!s && what != CURL_POLL_REMOVE)
		s = socket_of(f, -1);
	if (!s)
		return 0; /* of too many the limit of time ends it */
	ev_io_stop(f->loop, &s->io);
	s->io.fd = -1;
	if (what == CURL_POLL_REMOVE)
		return 0;
	ev_io_init(&s->io, on_socket, fd,
		   (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
	s->io.data = s;
	ev_io_start(f->loop, &s->io);
	return 0;
}

static int curl_wants_timer(CURLM *multi, long ms, void *owner)
{
	struct bf_fetcher *f = owner;

	(void)multi;
	if (!f->loop)
		return 0;
	ev_timer_stop(f->loop, &f->timer);
	if (ms < 0)
		return 0;
	ev_timer_set(&f->timer, (double)ms / 1000., 0.);
	ev_timer_start(f->loop, &f->timer);
	return 0;
}

/* ---- what comes */

static size_t on_body(char *bytes, size_t one, size_t len, void *owner)
{
	struct bf_fetcher *f = owner;

	(void)one;
	if (bf_buf_append(&f->body, bytes, len) == 0)
		return len;
	f->too_large = true;
	return 0;
}

static bool is_plain(struct bf_slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < ' ' || text.ptr[i] > '~')
			return false;
	return true;
}

/* A 100 may come before the answer, so each head begins anew. */
static size_t on_header(char *bytes, size_t one, size_t len, void *owner)
{
	static const char name[] = "etag:";
	struct bf_slice line = {bytes, len};
	struct bf_fetcher *f = owner;

	(void)one;
	f->head_bytes += len;
	if (f->head_bytes > FETCH_HEAD_MAX_BYTES) {
		f->too_large = true;
		return 0;
	}
	while (line.len && strchr("\r\n \t", line.ptr[line.len - 1]))
		line.len--;
	if (line.len >= 5 && memcmp(line.ptr, "HTTP/", 5) == 0) {
		f->etag[0] = '\0';
		f->head_ended = false;
		return len;
	}
	if (line.len == 0)
		f->head_ended = true;
	if (line.len < sizeof(name) || strncasecmp(line.ptr, name, sizeof(name) - 1) != 0)
		return len;
	line = (struct bf_slice){line.ptr + sizeof(name) - 1, line.len - sizeof(name) + 1};
	while (line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
		line = (struct bf_slice){line.ptr + 1, line.len - 1};
	if (line.len <= BF_FETCH_ETAG_MAX && is_plain(line)) {
		memcpy(f->etag, line.ptr, line.len);
		f->etag[line.len] = '\0';
	}
	return len;
}

/* ---- going */

static size_t put_address(char *at, size_t room, const struct bf_addr *addr)
{
	char text[INET6_ADDRSTRLEN];
	bool is_6 = addr->ss.ss_family == AF_INET6;
	const void *bytes =
	    is_6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)&addr->ss)->sin6_addr
		 : (const void *)&((const struct sockaddr_in *)(const void *)&addr->ss)->sin_addr;
	int n;

	if (!inet_ntop(addr->ss.ss_family, bytes, text, sizeof(text)))
		return 0;
	n = snprintf(at, room, is_6 ? ",[%s]" : ",%s", text);
	return n > 0 && (size_t)n < room ? (size_t)n : 0;
}

/* "host:port:address,address": what curl takes instead of asking. An IPv6 address would end at its
 * first colon there; curl takes it for what it is. */
static int tell_addresses(struct bf_fetcher *f, const struct bf_addr *addrs, size_t count)
{
	char text[RESOLVE_TEXT_MAX], list[RESOLVE_TEXT_MAX / 2] = "";
	size_t len = 0;
	int n;

	if (strchr(f->host, ':'))
		return 0;
	for (size_t i = 0; i < count; i++)
		len += put_address(list + len, sizeof(list) - len, &addrs[i]);
	n = snprintf(text, sizeof(text), "%s:%lu:%s", f->host, f->port, len ? list + 1 : "");
	if (len == 0 || n < 0 || (size_t)n >= sizeof(text))
		return -ENOMEM;
	f->resolved = curl_slist_append(NULL, text);
	return f->resolved ? 0 : -ENOMEM;
}

static int make_headers(struct bf_fetcher *f)
{
	char line[BF_FETCH_ETAG_MAX + 32];
	int n = snprintf(line, sizeof(line), "If-None-Match: %s", f->what.etag);

	if (f->what.etag[0] == '\0' || n < 0 || (size_t)n >= sizeof(line))
		return 0;
	f->headers = curl_slist_append(NULL, line);
	return f->headers ? 0 : -ENOMEM;
}

static bool set_trust(struct bf_fetcher *f)
{
	struct curl_blob pem = {.data = f->certificates.data + f->certificates.start,
				.len = bf_buf_len(&f->certificates),
				.flags = CURL_BLOB_NOCOPY};
	CURL *e = f->easy;

	/* Without any nobody is believed: curl must not look for files of its own. */
	if (curl_easy_setopt(e, CURLOPT_CAPATH, NULL) != CURLE_OK ||
	    curl_easy_setopt(e, CURLOPT_CAINFO, NULL) != CURLE_OK)
		return false;
	return pem.len == 0 || curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &pem) == CURLE_OK;
}

/* Options that may not fail: each keeps something out. */
static bool set_bounds(struct bf_fetcher *f)
{
	CURL *e = f->easy;

	return curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_LIMIT_MS) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)f->what.limit_ms) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)f->what.max_bytes) ==
		   CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_RESOLVE, f->resolved) == CURLE_OK && set_trust(f);
}

static bool set_rest(struct bf_fetcher *f)
{
	CURL *e = f->easy;

	return curl_easy_setopt(e, CURLOPT_URL, f->url) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_USERAGENT, f->user_agent) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HTTPHEADER, f->headers) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_ERRORBUFFER, f->curl_error) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_WRITEDATA, f) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(e, CURLOPT_HEADERDATA, f) == CURLE_OK;
}

int fetch_multi_go(struct bf_fetcher *f, const struct bf_addr *addrs, size_t count)
{
	f->curl_error[0] = f->etag[0] = '\0';
	f->head_ended = false;
	f->head_bytes = 0;
	bf_buf_clear(&f->body);
	f->easy = curl_easy_init();
	if (f->easy && tell_addresses(f, addrs, count) == 0 && make_headers(f) == 0 &&
	    set_bounds(f) && set_rest(f) && curl_multi_add_handle(f->multi, f->easy) == CURLM_OK)
		return 0;
	fetch_multi_stop(f);
	return -ENOMEM;
}

void fetch_multi_stop(struct bf_fetcher *f)
{
	if (f->easy) {
		(void)curl_multi_remove_handle(f->multi, f->easy);
		curl_easy_cleanup(f->easy);
	}
	curl_slist_free_all(f->resolved);
	curl_slist_free_all(f->headers);
	f->easy = NULL;
	f->resolved = f->headers = NULL;
}

/* ---- life */

int fetch_multi_open(struct bf_fetcher *f, struct bf_err *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return bf_err_set(err, BF_E_STATE, "fetch: libcurl cannot be used");
	for (size_t i = 0; i < FETCH_SOCKETS_MAX; i++) {
		f->sockets[i].io.fd = -1;
		f->sockets[i].fetcher = f;
	}
	ev_timer_init(&f->timer, on_timer, 0., 0.);
	f->timer.data = f;
	f->multi = curl_multi_init();
	if (!f->multi ||
	    curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, curl_wants_socket) != CURLM_OK ||
	    curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f) != CURLM_OK ||
	    curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, curl_wants_timer) != CURLM_OK ||
	    curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f) != CURLM_OK)
		return bf_err_sys(err, -ENOMEM, "fetch");
	return 0;
}

void fetch_multi_close(struct bf_fetcher *f)
{
	if (f->multi)
		(void)curl_multi_cleanup(f->multi);
	f->multi = NULL;
	if (f->loop)
		ev_timer_stop(f->loop, &f->timer);
	curl_global_cleanup();
}
