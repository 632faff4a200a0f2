/*
 * Error reports and the names of error codes. Called by everything; never allocates, never logs,
 * and keeps the text to one line whatever bytes it was built from.
 */
#include "common/base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct errdef {
	int code;
	int http;
	const char *name;
	const char *text;
} errdefs[] = {
#define X(name, code, http, text) {(code), (http), #name, (text)},
#include "common/base/errors.def"
#undef X
};

static const struct errdef *find_def(int code)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(errdefs); i++)
		if (errdefs[i].code == code)
			return &errdefs[i];
	return NULL;
}

/* A report is one line on a terminal: bytes that would break it, or forge a second one, are
 * replaced. */
static void keep_one_line(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

/* Ends a text that filled its buffer with "...", not within a UTF-8 sequence. */
static void mark_cut(char *text, size_t size)
{
	size_t end = size - sizeof("...");

	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	memcpy(text + end, "...", sizeof("..."));
}

static void format_text(struct bf_err *err, int code, const char *suffix, const char *fmt,
			va_list ap) __attribute__((format(printf, 4, 0)));

static void format_text(struct bf_err *err, int code, const char *suffix, const char *fmt,
			va_list ap)
{
	size_t size = sizeof(err->text);

	err->code = code;
	err->text[0] = '\0';
	int n = vsnprintf(err->text, size, fmt, ap);
	if (n >= 0 && (size_t)n < size && suffix) {
		int m = snprintf(err->text + n, size - (size_t)n, ": %s", suffix);
		n = m < 0 ? m : n + m;
	}
	if (n >= 0 && (size_t)n >= size)
		mark_cut(err->text, size);
	keep_one_line(err->text);
}

int bf_err_set(struct bf_err *err, int code, const char *fmt, ...)
{
	if (!err)
		return code;
	va_list ap;
	va_start(ap, fmt);
	format_text(err, code, NULL, fmt, ap);
	va_end(ap);
	return code;
}

int bf_err_sys(struct bf_err *err, int code, const char *fmt, ...)
{
	if (!err)
		return code;
	va_list ap;
	va_start(ap, fmt);
	format_text(err, code, bf_err_text(code), fmt, ap);
	va_end(ap);
	return code;
}

const char *bf_err_text(int code)
{
	const struct errdef *def = find_def(code);
	if (def)
		return def->text;
	if (code == 0)
		return "success";
	const char *text = code < 0 && code > -1000 ? strerrordesc_np(-code) : NULL;
	return text ? text : "unknown error";
}

const char *bf_err_name(int code)
{
	const struct errdef *def = find_def(code);
	if (def)
		return def->name;
	const char *name = code < 0 && code > -1000 ? strerrorname_np(-code) : NULL;
	return name ? name : "UNKNOWN";
}

int bf_err_http(int code)
{
	const struct errdef *def = find_def(code);
	if (def)
		return def->http;
	return code == 0 ? 200 : 500;
}
