/*
 * The numbers of the whole node as text: any worker can tell them, because they live in the
 * segment. Called by the route table. Must never reset or change a number.
 */
#include "proxyd/gate/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error_class.h"
#include "common/ipc/frame.h"
#include "proxyd/gate/metrics_limits.h"
#include "proxyd/gate/metrics_series.h"
#include "proxyd/provider/key.h"
#include "proxyd/provider/provider.h"
#include "shm/content.h"
#include "shm/health.h"
#include "shm/slot.h"

#define METRICS_DERIVED 12u
#define METRICS_MAX     ((unsigned)SHM_METRIC_COUNT + (unsigned)SHM_HISTOGRAM_COUNT + METRICS_DERIVED)

struct metrics_family {
	const char *name, *help;
	enum metrics_kind kind;
	int place; /* enum shm_metric, or enum shm_histogram of a histogram; else: */
	int (*write)(const struct worker *w, struct bf_buf *out);
};

static int write_build(const struct worker *w, struct bf_buf *out)
{
	return bf_buf_printf(out, "bifrost_build_info{version=\"%s\"} 1\n", w->version);
}

/* One series per reason, all of them always: an alert can name one that has never been seen. */
static int write_health(const struct worker *w, struct bf_buf *out)
{
	uint64_t bits = shm_health_all(w->seg);
	int r = 0;

	for (unsigned b = 0; b < SHM_HEALTH_COUNT && r == 0; b++)
		r = bf_buf_printf(out,
				  "bifrost_health_degraded{component=\"%s\",reason=\"%s\"} %d\n",
				  shm_health_defs[b].component, shm_health_defs[b].reason,
				  (int)((bits >> b) & 1));
	return r;
}

static int write_draining(const struct worker *w, struct bf_buf *out)
{
	return bf_buf_printf(out, "bifrost_draining %d\n", shm_draining(w->seg) ? 1 : 0);
}

static int write_usage_waiting(const struct worker *w, struct bf_buf *out)
{
	uint64_t n = 0;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++)
		n += shm_usage_waiting(w->seg, p);
	return bf_buf_printf(out, "bifrost_usage_waiting_records %" PRIu64 "\n", n);
}

static int write_content_waiting(const struct worker *w, struct bf_buf *out)
{
	uint64_t n = 0;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++)
		n += shm_content_waiting_bytes(w->seg, p);
	return bf_buf_printf(out, "bifrost_content_waiting_bytes %" PRIu64 "\n", n);
}

static int write_key(struct bf_buf *out, const struct bf_conf_provider *p,
		     const struct bf_conf_provider_key *key, bool up)
{
	int r = metrics_label_write(out, "bifrost_provider_key_up{provider", p->name);

	if (r == 0)
		r = metrics_label_write(out, ",key_id", key->id);
	if (r == 0)
		r = metrics_label_write(out, ",key_name", key->name);
	return r < 0 ? r : bf_buf_printf(out, "} %d\n", up ? 1 : 0);
}

/* Keys that have a place in the segment: that bounds this text. */
static int write_keys(const struct worker *w, struct bf_buf *out)
{
	const struct provider_set *set = w->providers;
	int64_t now_ms = bf_mono_ms();
	int r = 0;

	for (uint32_t i = 0; i < set->count && r == 0; i++) {
		const struct bf_conf_provider *p = set->items[i]->conf;
		const struct bf_conf_provider_key *keys = p->keys.items;
		const struct provider_keys *of = &set->items[i]->keys;
		for (uint32_t k = 0; k < of->count && r == 0; k++) {
			if (of->health[k].index >= 0)
				r = write_key(out, p, &keys[k],
					      shm_key_is_up(w->seg, &of->health[k], now_ms));
		}
	}
	return r;
}

/* One series per class, all of them always: a rate needs the zero before the first failure. */
static int write_errors(const struct worker *w, struct bf_buf *out)
{
	int r = 0;

	for (unsigned c = 0; c < BF_ERROR_CLASS_COUNT && r == 0; c++)
		r = bf_buf_printf(
		    out, "bifrost_errors_by_class_total{error_type=\"%s\"} %" PRId64 "\n",
		    bf_error_class_name((enum bf_error_class)c), shm_error_class_sum(w->seg, c));
	return r;
}

static int write_series_used(const struct worker *w, struct bf_buf *out)
{
	return bf_buf_printf(out, "bifrost_model_series %u\n", metrics_series_used(w->seg));
}

/* Two live holders of one role and index would be one series twice: the younger one counts. */
static bool has_younger(const struct worker *w, uint32_t p, const struct shm_slot_info *of)
{
	struct shm_slot_info other;

	for (uint32_t o = 0; o < SHM_PROC_SLOTS; o++) {
		shm_slot_info(w->seg, o, &other);
		if (o == p || other.state != SHM_SLOT_LIVE || other.role != of->role ||
		    other.index != of->index)
			continue;
		if (other.started_wall_ns > of->started_wall_ns ||
		    (other.started_wall_ns == of->started_wall_ns && o > p))
			return true;
	}
	return false;
}

static int write_starts(const struct worker *w, struct bf_buf *out)
{
	struct shm_slot_info info;
	int r = 0;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS && r == 0; p++) {
		shm_slot_info(w->seg, p, &info);
		if (info.state != SHM_SLOT_LIVE || has_younger(w, p, &info))
			continue;
		r = bf_buf_printf(out,
				  "bifrost_process_start_time_seconds{role=\"%s\",index=\"%" PRIu32
				  "\"} %" PRId64 ".%03d\n",
				  bf_role_name((enum bf_role)info.role), info.index,
				  info.started_wall_ns / 1000000000,
				  (int)(info.started_wall_ns / 1000000 % 1000));
	}
	return r;
}

static const struct metrics_family metrics_derived[METRICS_DERIVED] = {
    {"bifrost_build_info", "The version that runs.", METRICS_INFO, -1, write_build},
    {"bifrost_health_degraded", "1 for each reason why this node is degraded.", METRICS_GAUGE, -1,
     write_health},
    {"bifrost_draining", "1 while this node is draining.", METRICS_GAUGE, -1, write_draining},
    {"bifrost_usage_waiting_records", "Usage records in the rings that are not written yet.",
     METRICS_GAUGE, -1, write_usage_waiting},
    {"bifrost_content_waiting_bytes", "Bytes in the content rings that are not written yet.",
     METRICS_GAUGE, -1, write_content_waiting},
    {"bifrost_provider_key_up", "0 while a key of a provider is spared: rate limited or refused.",
     METRICS_GAUGE, -1, write_keys},
    {"bifrost_errors_by_class_total",
     "Rows that ended with an error, and refused requests that have none, by what went wrong.",
     METRICS_COUNTER, -1, write_errors},
    {"bifrost_limit_held", "Reserved of a limit, or used and not yet in a row.", METRICS_GAUGE, -1,
     metrics_limits_held},
    {"bifrost_limit_settled", "Used of a limit in its window, by the rows.", METRICS_GAUGE, -1,
     metrics_limits_settled},
    {"bifrost_limits_left_out", "Limits that bifrost_limit_held and _settled do not tell.",
     METRICS_GAUGE, -1, metrics_limits_left_out},
    {"bifrost_model_series",
     "Names of provider, model and method that are counted by themselves; what finds no place "
     "among 255 is counted as \"other\".",
     METRICS_GAUGE, -1, write_series_used},
    {"bifrost_process_start_time_seconds", "When a process of this node started, since the epoch.",
     METRICS_GAUGE, -1, write_starts},
};

/* By the names up to their labels: a longer name comes behind all series of a shorter one. */
static int family_compare(const void *a, const void *b)
{
	const struct metrics_family *fa = a, *fb = b;
	size_t na = strcspn(fa->name, "{"), nb = strcspn(fb->name, "{");
	int c = memcmp(fa->name, fb->name, BF_MIN(na, nb));

	if (c == 0 && na != nb)
		return na < nb ? -1 : 1;
	return c ? c : strcmp(fa->name, fb->name);
}

static size_t metrics_collect(struct metrics_family *families)
{
	size_t n = 0;

	for (int m = 0; m < SHM_METRIC_COUNT; m++) {
		const struct shm_metric_def *d = &shm_metric_defs[m];
		bool counts = d->kind == SHM_METRIC_COUNTER;
		families[n++] = (struct metrics_family){
		    d->exported, d->help, counts ? METRICS_COUNTER : METRICS_GAUGE, m, NULL};
	}
	for (int h = 0; h < SHM_HISTOGRAM_COUNT; h++) {
		const struct shm_histogram_def *d = &shm_histogram_defs[h];
		families[n++] =
		    (struct metrics_family){d->exported, d->help, METRICS_HISTOGRAM, h, NULL};
	}
	memcpy(families + n, metrics_derived, sizeof(metrics_derived));
	n += METRICS_DERIVED;
	qsort(families, n, sizeof(families[0]), family_compare);
	return n;
}

static int histogram_write(const struct worker *w, enum shm_histogram h, enum metrics_format format,
			   struct bf_buf *out)
{
	struct shm_histogram_sums sums;

	shm_histogram_sum(w->seg, h, &sums);
	return metrics_histogram_write(out, format, &shm_histogram_defs[h], &sums);
}

/* Names up to their labels: the series of one family stand together. */
static bool is_same_family(const struct metrics_family *a, const struct metrics_family *b)
{
	size_t n = strcspn(a->name, "{");

	return n == strcspn(b->name, "{") && memcmp(a->name, b->name, n) == 0;
}

static int family_write(const struct worker *w, const struct metrics_family *f, bool begins,
			enum metrics_format format, struct bf_buf *out)
{
	int r = begins ? metrics_head_write(out, format, f->kind, f->name, f->help) : 0;

	if (r < 0)
		return r;
	if (f->write)
		return f->write(w, out);
	if (f->kind == METRICS_HISTOGRAM)
		return histogram_write(w, (enum shm_histogram)f->place, format, out);
	if (metrics_is_by_series((enum shm_metric)f->place))
		return metrics_series_write(w->seg, (enum shm_metric)f->place, out);
	return bf_buf_printf(out, "%s %" PRId64 "\n", f->name,
			     shm_metric_sum(w->seg, (enum shm_metric)f->place));
}

int metrics_write(const struct worker *w, enum metrics_format format, struct bf_buf *out)
{
	struct metrics_family families[METRICS_MAX];
	size_t n = metrics_collect(families);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = family_write(w, &families[i],
				 i == 0 || !is_same_family(&families[i - 1], &families[i]), format,
				 out);
	if (r == 0 && format == METRICS_OPENMETRICS)
		r = bf_buf_append_slice(out, BF_SLICE_LIT("# EOF\n"));
	return r;
}

void metrics_answer(struct exchange *x)
{
	enum metrics_format format = metrics_format_of(exchange_header(x, "accept"));
	struct bf_buf *text = &x->worker->text;
	int status = 200;

	bf_buf_clear(text);
	metrics_limits_follow(x->worker);
	if (metrics_write(x->worker, format, text) < 0) {
		bf_buf_clear(text);
		status = 500;
	}
	exchange_set_state(x, EXCHANGE_DONE);
	x->out->answer(x, status, metrics_content_type(format), bf_buf_slice(text));
}
