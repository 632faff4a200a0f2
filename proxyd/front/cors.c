/*
 * CORS as client.allowed_origins and client.allowed_headers say. Called by input for preflights and
 * by respond for every answer. Must never copy a byte of a request into an answer that is not part
 * of an allowed origin or of a header name.
 */
#include "proxyd/front/cors.h"

#include <stdio.h>
#include <string.h>

/* What the vendors' clients send; more by client.allowed_headers. */
static const char cors_usual[] =
    "authorization, content-type, accept, x-requested-with, x-request-id, traceparent, tracestate, "
    "idempotency-key, x-api-key, x-goog-api-key, api-key, anthropic-version, anthropic-beta, "
    "anthropic-dangerous-direct-browser-access, openai-organization, openai-project, openai-beta";

/* Families of names, of which those that are asked for are granted. */
static const char *const cors_families[] = {"x-stainless-", "x-bf-"};

static const char cors_exposed[] =
    "Access-Control-Expose-Headers: x-request-id, traceparent, retry-after, "
    "x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, "
    "x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, x-ratelimit-reset-tokens\r\n";

static bool is_port(struct bf_slice s)
{
	if (s.len == 0)
		return true;
	if (s.ptr[0] != ':' || s.len < 2 || s.len > 6)
		return false;
	for (size_t i = 1; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	}
	return true;
}

static bool is_local(struct bf_slice origin)
{
	static const char *const local[] = {
	    "http://localhost",  "http://127.0.0.1",  "http://[::1]",
	    "https://localhost", "https://127.0.0.1", "https://[::1]",
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(local); i++) {
		size_t len = strlen(local[i]);
		if (bf_slice_starts_nocase(origin, bf_slice_from(local[i])) &&
		    is_port((struct bf_slice){origin.ptr + len, origin.len - len}))
			return true;
	}
	return false;
}

static bool is_host_text(struct bf_slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '-' || c == '.';
		if (!good)
			return false;
	}
	return s.len > 0;
}

/* The star takes at least one character, and never leaves the host name.
 */
static bool matches_star(struct bf_slice pattern, const char *star, struct bf_slice origin)
{
	struct bf_slice head = {pattern.ptr, (size_t)(star - pattern.ptr)};
	struct bf_slice tail = {star + 1, pattern.len - head.len - 1};

	if (origin.len <= head.len + tail.len)
		return false;
	size_t rest = origin.len - tail.len;
	return bf_slice_eq_nocase(head, (struct bf_slice){origin.ptr, head.len}) &&
	       bf_slice_eq_nocase(tail, (struct bf_slice){origin.ptr + rest, tail.len}) &&
	       is_host_text((struct bf_slice){origin.ptr + head.len, rest - head.len});
}

static bool matches(struct bf_slice pattern, struct bf_slice origin)
{
	const char *star = pattern.len ? memchr(pattern.ptr, '*', pattern.len) : NULL;

	if (bf_slice_is(pattern, "*"))
		return true;
	return star ? matches_star(pattern, star, origin) : bf_slice_eq_nocase(pattern, origin);
}

/* What may stand in a header of ours: the text of a scheme, a host and a port, or "null". */
static bool origin_is_clean(struct bf_slice origin)
{
	if (origin.len == 0 || origin.len > CORS_ORIGIN_MAX)
		return false;
	for (size_t i = 0; i < origin.len; i++) {
		if (origin.ptr[i] <= ' ' || origin.ptr[i] > '~' || origin.ptr[i] == ',')
			return false;
	}
	return true;
}

bool cors_allows(const struct bf_conf_client *client, struct bf_slice origin)
{
	const struct bf_slice *allowed = client->allowed_origins.items;

	if (!origin_is_clean(origin))
		return false;
	for (size_t i = 0; i < client->allowed_origins.count; i++) {
		if (matches(allowed[i], origin))
			return true;
	}
	return is_local(origin);
}

static bool has_star(const struct bf_array *list)
{
	const struct bf_slice *items = list->items;

	for (size_t i = 0; i < list->count; i++) {
		if (bf_slice_is(items[i], "*"))
			return true;
	}
	return false;
}

bool cors_is_open(const struct bf_conf_client *client)
{
	return has_star(&client->allowed_origins);
}

bool cors_is_preflight(const struct exchange *x)
{
	return x->method == EXCHANGE_OPTIONS && exchange_header(x, "origin").len &&
	       exchange_header(x, "access-control-request-method").len;
}

static bool add(struct cors_lines *out, struct bf_slice s)
{
	if (s.len > sizeof(out->text) - out->len)
		return false;
	memcpy(out->text + out->len, s.ptr, s.len);
	out->len += s.len;
	return true;
}

void cors_answer_lines(const struct bf_conf_client *client, struct bf_slice origin,
		       struct cors_lines *out)
{
	bool open = cors_is_open(client);

	out->len = 0;
	if (!open)
		(void)add(out, BF_SLICE_LIT("Vary: Origin\r\n"));
	if (!cors_allows(client, origin))
		return;
	(void)add(out, BF_SLICE_LIT("Access-Control-Allow-Origin: "));
	(void)add(out, open ? BF_SLICE_LIT("*") : origin);
	(void)add(out, BF_SLICE_LIT("\r\n"));
	(void)add(out, bf_slice_from(cors_exposed));
}

static bool is_token(struct bf_slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c <= ' ' || c > '~' || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return s.len > 0;
}

static bool grants(const struct bf_conf_client *client, struct bf_slice name)
{
	if (!is_token(name))
		return false;
	for (size_t i = 0; i < BF_ARRAY_LEN(cors_families); i++) {
		if (bf_slice_starts_nocase(name, bf_slice_from(cors_families[i])))
			return true;
	}
	return has_star(&client->allowed_headers);
}

/* Room is kept for the line's end. */
static void add_name(struct cors_lines *out, struct bf_slice name)
{
	if (name.len + 4 > sizeof(out->text) - out->len)
		return;
	(void)add(out, BF_SLICE_LIT(", "));
	(void)add(out, name);
}

static struct bf_slice next_name(struct bf_slice *list)
{
	const char *comma = list->len ? memchr(list->ptr, ',', list->len) : NULL;
	size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
	struct bf_slice name = {list->ptr, len};
	size_t used = comma ? len + 1 : len;

	*list = (struct bf_slice){list->ptr + used, list->len - used};
	while (name.len && (name.ptr[0] == ' ' || name.ptr[0] == '\t'))
		name = (struct bf_slice){name.ptr + 1, name.len - 1};
	while (name.len && (name.ptr[name.len - 1] == ' ' || name.ptr[name.len - 1] == '\t'))
		name.len--;
	return name;
}

void cors_preflight_lines(const struct bf_conf_client *client, struct bf_slice asked_headers,
			  struct cors_lines *out)
{
	const struct bf_slice *allowed = client->allowed_headers.items;
	char age[48];
	int n = snprintf(age, sizeof(age), "Access-Control-Max-Age: %d\r\n", CORS_MAX_AGE_S);

	out->len = 0;
	(void)add(out, (struct bf_slice){age, (size_t)n});
	(void)add(out, BF_SLICE_LIT("Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, "
				    "DELETE, OPTIONS\r\nAccess-Control-Allow-Headers: "));
	(void)add(out, bf_slice_from(cors_usual));
	for (size_t i = 0; i < client->allowed_headers.count; i++) {
		if (is_token(allowed[i]) && !bf_slice_is(allowed[i], "*"))
			add_name(out, allowed[i]);
	}
	while (asked_headers.len) {
		struct bf_slice name = next_name(&asked_headers);
		if (grants(client, name))
			add_name(out, name);
	}
	(void)add(out, BF_SLICE_LIT("\r\n"));
}
