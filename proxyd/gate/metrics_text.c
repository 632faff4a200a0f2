/*
 * Families of metrics as Prometheus text 0.0.4 and as OpenMetrics 1.0.0. Called by metrics.c for
 * each scrape. Must never look at the segment: it is given the numbers.
 */
#include "proxyd/gate/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/macros.h"

/* ---- what the client wants */

/* Up to `stop`, without the blanks around it; *list becomes what follows. */
static struct bf_slice take(struct bf_slice *list, char stop)
{
	const char *end = list->len ? memchr(list->ptr, stop, list->len) : NULL;
	struct bf_slice item = {list->ptr, end ? (size_t)(end - list->ptr) : list->len};
	size_t skip = end ? item.len + 1 : item.len;

	*list = (struct bf_slice){list->ptr ? list->ptr + skip : NULL, list->len - skip};
	while (item.len && (item.ptr[0] == ' ' || item.ptr[0] == '\t'))
		item = (struct bf_slice){item.ptr + 1, item.len - 1};
	while (item.len && (item.ptr[item.len - 1] == ' ' || item.ptr[item.len - 1] == '\t'))
		item.len--;
	return item;
}

/* A weight in thousandths: "1", "0.25"; what is no weight is none. */
static int quality(struct bf_slice text)
{
	int q = 0, worth = 1000;

	for (size_t i = 0; i < text.len && i < 5; i++) {
		if (i == 1 && text.ptr[i] == '.')
			continue;
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return 0;
		q += (text.ptr[i] - '0') * worth;
		worth /= 10;
		if (i == 0 && text.len > 1 && text.ptr[1] != '.')
			return 0;
	}
	return q <= 1000 ? q : 1000;
}

/* Weight of one media range's parameters; 0 when they ask for a version that is not `version`. */
static int accept_weight(struct bf_slice params, const char *version)
{
	int weight = 1000;

	while (params.len) {
		struct bf_slice value = take(&params, ';');
		struct bf_slice name = take(&value, '=');
		if (bf_slice_is_nocase(name, "q"))
			weight = quality(value);
		else if (bf_slice_is_nocase(name, "version") && !bf_slice_is_nocase(value, version))
			return 0;
	}
	return weight;
}

enum metrics_format metrics_format_of(struct bf_slice accept)
{
	int open = 0, plain = 0;

	while (accept.len) {
		struct bf_slice params = take(&accept, ',');
		struct bf_slice type = take(&params, ';');
		if (bf_slice_is_nocase(type, "application/openmetrics-text"))
			open = BF_MAX(open, accept_weight(params, "1.0.0"));
		else if (bf_slice_is_nocase(type, "text/plain"))
			plain = BF_MAX(plain, accept_weight(params, "0.0.4"));
	}
	return open && open >= plain ? METRICS_OPENMETRICS : METRICS_PROMETHEUS;
}

struct bf_slice metrics_content_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS
		   ? BF_SLICE_LIT("application/openmetrics-text; version=1.0.0; charset=utf-8")
		   : BF_SLICE_LIT("text/plain; version=0.0.4; charset=utf-8");
}

/* ---- families */

static const struct {
	const char *type, *suffix; /* the suffix of samples that a family's name lacks */
} kinds[][2] = {
    [METRICS_COUNTER] = {{"counter", ""}, {"counter", "_total"}},
    [METRICS_GAUGE] = {{"gauge", ""}, {"gauge", ""}},
    [METRICS_HISTOGRAM] = {{"histogram", ""}, {"histogram", ""}},
    [METRICS_INFO] = {{"gauge", ""}, {"info", "_info"}},
};

int metrics_head_write(struct bf_buf *out, enum metrics_format format, enum metrics_kind kind,
		       const char *name, const char *help)
{
	size_t len = strcspn(name, "{"), cut = strlen(kinds[kind][format].suffix);

	if (cut < len && memcmp(name + len - cut, kinds[kind][format].suffix, cut) == 0)
		len -= cut;
	return bf_buf_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)len, name, help,
			     (int)len, name, kinds[kind][format].type);
}

int metrics_label_write(struct bf_buf *out, const char *before, struct bf_slice value)
{
	int r = bf_buf_printf(out, "%s=\"", before);

	for (size_t i = 0; i < value.len && r == 0; i++) {
		if (value.ptr[i] == '\n')
			r = bf_buf_append(out, "\\n", 2);
		else if (value.ptr[i] == '"' || value.ptr[i] == '\\')
			r = bf_buf_printf(out, "\\%c", value.ptr[i]);
		else
			r = bf_buf_append(out, value.ptr + i, 1);
	}
	return r < 0 ? r : bf_buf_append(out, "\"", 1);
}

/* n / per_unit without rounding and without needless zeros; OpenMetrics wants "1.0" for a bound of
 * 1. per_unit is a power of ten. */
static void decimal(char *text, size_t size, int64_t n, uint32_t per_unit, bool wants_point)
{
	int64_t rest = n % per_unit;
	int at =
	    snprintf(text, size, "%" PRId64 "%s", n / per_unit, rest || wants_point ? "." : "");

	if (rest == 0 && wants_point)
		(void)snprintf(text + at, size - (size_t)at, "0");
	while (rest) {
		rest *= 10;
		at += snprintf(text + at, size - (size_t)at, "%d", (int)(rest / per_unit));
		rest %= per_unit;
	}
}

int metrics_histogram_write(struct bf_buf *out, enum metrics_format format,
			    const struct shm_histogram_def *def,
			    const struct shm_histogram_sums *sums)
{
	char text[48];
	int r = 0;

	for (uint32_t i = 0; i < def->bounds && r == 0; i++) {
		decimal(text, sizeof(text), def->bound[i], def->per_unit,
			format == METRICS_OPENMETRICS);
		r = bf_buf_printf(out, "%s_bucket{le=\"%s\"} %" PRId64 "\n", def->exported, text,
				  sums->upto[i]);
	}
	decimal(text, sizeof(text), sums->sum, def->per_unit, false);
	if (r == 0)
		r = bf_buf_printf(
		    out, "%s_bucket{le=\"+Inf\"} %" PRId64 "\n%s_sum %s\n%s_count %" PRId64 "\n",
		    def->exported, sums->count, def->exported, text, def->exported, sums->count);
	return r;
}
