/*
 * Who may see what is for this machine only. Called by the API's door while there is no login. Must
 * never let a request in because a header is missing that only honest callers send.
 */
#include "proxyd/gate/local.h"

#include <string.h>

#include "common/base/macros.h"

/* Takes prefix off s, whatever its case. */
static bool take(struct bf_slice *s, struct bf_slice prefix)
{
	if (!bf_slice_starts_nocase(*s, prefix))
		return false;
	*s = (struct bf_slice){s->ptr + prefix.len, s->len - prefix.len};
	return true;
}

/* One to most digits. */
static bool take_number(struct bf_slice *s, unsigned most)
{
	unsigned n = 0;

	while (n < most && s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9') {
		*s = (struct bf_slice){s->ptr + 1, s->len - 1};
		n++;
	}
	return n > 0;
}

/* 127.0.0.0/8, written out. */
static bool take_ipv4(struct bf_slice *s)
{
	if (!take(s, BF_SLICE_LIT("127.")))
		return false;
	for (int i = 0; i < 2; i++) {
		if (!take_number(s, 3) || !take(s, BF_SLICE_LIT(".")))
			return false;
	}
	return take_number(s, 3);
}

/* This machine as a browser or curl writes it, with or without a port. */
static bool is_loopback_authority(struct bf_slice s)
{
	if (!take(&s, BF_SLICE_LIT("localhost")) && !take(&s, BF_SLICE_LIT("[::1]")) &&
	    !take_ipv4(&s))
		return false;
	return s.len == 0 || (take(&s, BF_SLICE_LIT(":")) && take_number(&s, 5) && s.len == 0);
}

static bool is_own_origin(struct bf_slice origin, struct bf_slice host)
{
	if (!take(&origin, BF_SLICE_LIT("http://")) && !take(&origin, BF_SLICE_LIT("https://")))
		return false;
	return is_loopback_authority(origin) && bf_slice_eq_nocase(origin, host);
}

static bool is_forwarding(struct bf_slice name)
{
	return bf_slice_eq_nocase(name, BF_SLICE_LIT("forwarded")) ||
	       bf_slice_eq_nocase(name, BF_SLICE_LIT("x-real-ip")) ||
	       bf_slice_eq_nocase(name, BF_SLICE_LIT("via")) ||
	       take(&name, BF_SLICE_LIT("x-forwarded-"));
}

static int check_header(const struct exchange_header *h, struct bf_slice host, struct bf_err *err)
{
	if (is_forwarding(h->name))
		return bf_err_set(err, BF_E_DENIED,
				  "%.*s: this came through a proxy, which may speak for anybody: "
				  "ask the gateway itself, on this machine, and let the proxy "
				  "refuse /api/",
				  (int)BF_MIN(h->name.len, 64), h->name.ptr);
	if (bf_slice_eq_nocase(h->name, BF_SLICE_LIT("origin")) && !is_own_origin(h->value, host))
		return bf_err_set(err, BF_E_DENIED,
				  "Origin: web pages of other origins may not see what is for this "
				  "machine only: ask with a program such as curl");
	if (bf_slice_eq_nocase(h->name, BF_SLICE_LIT("sec-fetch-site")) &&
	    !bf_slice_is(h->value, "same-origin") && !bf_slice_is(h->value, "none"))
		return bf_err_set(err, BF_E_DENIED,
				  "Sec-Fetch-Site: another site made the browser ask: type the "
				  "address into it, or use a program such as curl");
	return 0;
}

int local_check(const struct exchange *x, struct bf_err *err)
{
	struct bf_slice host = exchange_header(x, "host");
	int r = 0;

	if (!x->from_loopback)
		return bf_err_set(
		    err, BF_E_DENIED,
		    "what is told here, prompts among it, is only for clients on this "
		    "machine while there is no login: ask from there, for instance through ssh -L, "
		    "or set governance.auth_config");
	if (x->method == EXCHANGE_OPTIONS &&
	    exchange_header(x, "access-control-request-method").ptr)
		return bf_err_set(
		    err, BF_E_DENIED,
		    "Access-Control-Request-Method: no page of another origin may ask "
		    "here: ask with a program such as curl");
	for (uint32_t i = 0; r == 0 && i < x->header_count; i++)
		r = check_header(&x->headers[i], host, err);
	if (r == 0 && !is_loopback_authority(host))
		r = bf_err_set(
		    err, BF_E_DENIED,
		    "Host: must name this machine, because what is shown is for it only: "
		    "ask http://localhost, http://127.0.0.1 or http://[::1]");
	return r;
}
