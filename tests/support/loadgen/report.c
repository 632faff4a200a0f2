/*
 * Tells what came of a run, to people and as JSON. Called by main.c; must say loudly when the
 * generator itself was the bottleneck.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/macros.h"
#include "common/codec/json_writer.h"
#include "tests/support/loadgen/load.h"

#define LATE_SHARE 100 /* one in so many requests may be late */

static const struct {
	const char *name;
	uint32_t per_million;
} quantiles[] = {
    {"p50", 500000}, {"p90", 900000}, {"p99", 990000}, {"p99_9", 999000}, {"max", 1000000},
};

static bool kept(const struct load *l)
{
	const struct load_report *r = &l->report;

	return !l->options->rate_micro || (!r->unsent && r->late * LATE_SHARE <= r->due);
}

static double per_second(const struct load_report *r)
{
	return r->elapsed_ns ? (double)r->measured * 1e9 / (double)r->elapsed_ns : 0;
}

static double cpu_seconds(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void print_hist(const char *name, const struct hist *h)
{
	if (!h->total)
		return;
	printf("%-12s", name);
	for (size_t i = 0; i < BF_ARRAY_LEN(quantiles); i++)
		printf("  %s %.1f", quantiles[i].name,
		       (double)hist_quantile(h, quantiles[i].per_million) / 1e3);
	printf("  mean %.1f us\n", h->sum / (double)h->total / 1e3);
}

bool report_print(const struct load *l)
{
	const struct load_report *r = &l->report;

	printf("requests %llu (measured %llu), %.1f/s, connects %llu (failed %llu)\n",
	       (unsigned long long)r->requests, (unsigned long long)r->measured, per_second(r),
	       (unsigned long long)r->connects, (unsigned long long)r->connect_errors);
	for (int i = 0; i < LOAD_END_COUNT; i++) {
		if (r->ends[i])
			printf("end %-12s %llu\n", load_end_name((enum load_end)i),
			       (unsigned long long)r->ends[i]);
	}
	for (int i = 0; i < LOAD_STATUS_MAX; i++) {
		if (r->statuses[i])
			printf("status %d       %llu\n", i, (unsigned long long)r->statuses[i]);
	}
	print_hist("latency", &r->latency);
	print_hist("service", &r->service);
	print_hist("first byte", &r->first_byte);
	print_hist("event gap", &r->gap);
	if (l->options->idle)
		printf("held %llu connections, lost %llu of them\n", (unsigned long long)r->held,
		       (unsigned long long)r->held_lost);
	(void)fflush(stdout);
	if (!kept(l))
		fprintf(stderr,
			"THE RATE WAS NOT KEPT: of %llu requests %llu were sent over 1 ms late "
			"(worst %.1f ms), %llu never\n",
			(unsigned long long)r->due, (unsigned long long)r->late,
			(double)r->latest_ns / 1e6, (unsigned long long)r->unsent);
	return kept(l);
}

static void json_hist(struct bf_json_writer *w, const char *name, const struct hist *h)
{
	bf_jw_key(w, name);
	bf_jw_object(w);
	bf_jw_key(w, "count");
	bf_jw_u64(w, h->total);
	bf_jw_key(w, "mean");
	bf_jw_micro(w, h->total ? (int64_t)(h->sum / (double)h->total * 1e3) : 0);
	for (size_t i = 0; i < BF_ARRAY_LEN(quantiles); i++) {
		bf_jw_key(w, quantiles[i].name);
		bf_jw_micro(w, (int64_t)hist_quantile(h, quantiles[i].per_million) * 1000);
	}
	bf_jw_end_object(w);
}

static void json_numbers(struct bf_json_writer *w, const struct load *l)
{
	const struct load_report *r = &l->report;
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
	    {"requests", r->requests},
	    {"measured", r->measured},
	    {"due", r->due},
	    {"unsent", r->unsent},
	    {"late", r->late},
	    {"connects", r->connects},
	    {"events", r->events},
	    {"connect_errors", r->connect_errors},
	    {"tokens", r->tokens},
	    {"closed_idle", r->closed_idle},
	    {"bytes_in", r->bytes_in},
	    {"bytes_out", r->bytes_out},
	    {"held", r->held},
	    {"held_lost", r->held_lost},
	    {"errors", r->requests - r->ends[LOAD_DONE]},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(numbers); i++) {
		bf_jw_key(w, numbers[i].name);
		bf_jw_u64(w, numbers[i].value);
	}
	bf_jw_key(w, "per_second");
	bf_jw_micro(w, (int64_t)(per_second(r) * 1e6));
	bf_jw_key(w, "elapsed_s");
	bf_jw_micro(w, r->elapsed_ns / 1000);
	bf_jw_key(w, "worst_delay_us");
	bf_jw_micro(w, r->latest_ns * 1000);
	bf_jw_key(w, "cpu_s");
	bf_jw_micro(w, (int64_t)(cpu_seconds() * 1e6));
	bf_jw_key(w, "rate_kept");
	bf_jw_bool(w, kept(l));
}

static void json_counts(struct bf_json_writer *w, const struct load_report *r)
{
	char name[16];

	bf_jw_key(w, "ends");
	bf_jw_object(w);
	for (int i = 0; i < LOAD_END_COUNT; i++) {
		bf_jw_key(w, load_end_name((enum load_end)i));
		bf_jw_u64(w, r->ends[i]);
	}
	bf_jw_end_object(w);
	bf_jw_key(w, "statuses");
	bf_jw_object(w);
	for (int i = 0; i < LOAD_STATUS_MAX; i++) {
		if (!r->statuses[i])
			continue;
		(void)snprintf(name, sizeof(name), "%d", i);
		bf_jw_key(w, name);
		bf_jw_u64(w, r->statuses[i]);
	}
	bf_jw_end_object(w);
}

int report_json(const struct load *l, struct bf_err *err)
{
	const char *name = l->options->json;
	bool to_stdout = strcmp(name, "-") == 0;
	FILE *f = to_stdout ? stdout : fopen(name, "w");
	struct bf_json_writer w;
	struct bf_buf out;
	int r;

	if (!f)
		return bf_err_sys(err, -errno, "json: %s", name);
	bf_buf_init(&out, 1u << 20);
	bf_jw_init(&w, &out);
	bf_jw_object(&w);
	json_numbers(&w, l);
	json_counts(&w, &l->report);
	json_hist(&w, "latency_us", &l->report.latency);
	json_hist(&w, "service_us", &l->report.service);
	json_hist(&w, "first_byte_us", &l->report.first_byte);
	json_hist(&w, "gap_us", &l->report.gap);
	bf_jw_end_object(&w);
	r = bf_jw_finish(&w);
	if (r == 0 && (fwrite(out.data + out.start, 1, bf_buf_len(&out), f) != bf_buf_len(&out) ||
		       fputc('\n', f) == EOF))
		r = -EIO;
	if (!to_stdout && fclose(f) != 0 && r == 0)
		r = -EIO;
	bf_buf_done(&out);
	return r < 0 ? bf_err_sys(err, r, "json: %s", name) : 0;
}
