/* Metrics text: sorted families, HELP and TYPE before values, numbers that follow the shards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/error_class.h"
#include "common/base/macros.h"
#include "common/ipc/frame.h"
#include "proxyd/gate/metrics.h"
#include "proxyd/gate/metrics_series.h"
#include "proxyd/record/record.h"
#include "shm/series.h"
#include "shm/slot.h"
#include "tests/unit/proxyd/harness.h"

static struct bf_buf out;

static const char *scrape_as(struct harness *h, enum metrics_format format)
{
	bf_buf_clear(&out);
	assert_int_equal(metrics_write(&h->w, format, &out), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	return bf_buf_slice(&out).ptr;
}

static const char *scrape(struct harness *h)
{
	return scrape_as(h, METRICS_PROMETHEUS);
}

static void add_row(struct harness *h, uint32_t p, uint32_t s, bool is_ok, int64_t input_tokens)
{
	const struct shm_series_row row = {.is_ok = is_ok, .input_tokens = input_tokens};

	shm_series_add(&h->seg, p, s, &row);
}

/* Has the sample's name what its family's kind allows behind the family's name? */
static bool suffix_fits(const char *line, const char *family, const char *kind, bool open)
{
	static const char *const histogram[] = {"_bucket{", "_sum ", "_count "};
	const char *rest = line + strlen(family);

	if (strncmp(line, family, strlen(family)) != 0)
		return false;
	if (strcmp(kind, "histogram") == 0) {
		for (size_t i = 0; i < 3; i++) {
			if (strncmp(rest, histogram[i], strlen(histogram[i])) == 0)
				return true;
		}
		return false;
	}
	if (open && strcmp(kind, "counter") == 0)
		rest = strncmp(rest, "_total", 6) == 0 ? rest + 6 : "";
	if (strcmp(kind, "info") == 0)
		rest = strncmp(rest, "_info", 5) == 0 ? rest + 5 : "";
	return rest[0] == ' ' || rest[0] == '{';
}

static void sample_is_new(const char *line)
{
	char sample[256];
	size_t len = (size_t)(strchr(line, '\n') - line);

	while (line[len] != ' ')
		len--;
	(void)snprintf(sample, sizeof(sample), "\n%.*s ", (int)len, line);
	assert_null(strstr(line, sample));
}

/* Of the numbers in the segment: some are one family, told apart by a label. */
static size_t number_families(void)
{
	size_t n = 0;

	for (int m = 0; m < SHM_METRIC_COUNT; m++) {
		const char *name = shm_metric_defs[m].exported;
		size_t len = strcspn(name, "{");
		int first = 0;

		while (strncmp(shm_metric_defs[first].exported, name, len) != 0 ||
		       strcspn(shm_metric_defs[first].exported, "{") != len)
			first++;
		n += first == m;
	}
	return n;
}

/* Every line is HELP, TYPE or a sample of the family they named; families are sorted and appear
 * once; no sample appears twice. */
static void well_formed(const char *text, bool open)
{
	char family[128] = "", last[128] = "", kind[16] = "";
	size_t families = 0, samples = 0;

	assert_true(text[strlen(text) - 1] == '\n');
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		if (sscanf(line, "# HELP %127s", family) == 1) {
			if (strcmp(last, family) >= 0)
				fail_msg("%s before %s", last, family);
			(void)snprintf(last, sizeof(last), "%s", family);
			families++;
		} else if (strncmp(line, "# TYPE ", 7) == 0) {
			assert_int_equal(strncmp(line + 7, family, strlen(family)), 0);
			assert_int_equal(sscanf(line + 7 + strlen(family), " %15s", kind), 1);
			/* promtool: a counter's name ends in _total, no other's does. */
			bool total = strlen(family) > 6 &&
				     strcmp(family + strlen(family) - 6, "_total") == 0;
			assert_int_equal(total, !open && strcmp(kind, "counter") == 0);
		} else if (strcmp(line, "# EOF\n") == 0) {
			assert_true(open);
		} else {
			if (!suffix_fits(line, family, kind, open))
				fail_msg("%.100s is no sample of the %s %s", line, kind, family);
			sample_is_new(line);
			samples++;
		}
	}
	assert_int_equal(families, number_families() + SHM_HISTOGRAM_COUNT + 12);
	assert_true(samples > families);
	assert_int_equal(open, strcmp(text + strlen(text) - 7, "\n# EOF\n") == 0);
}

static void text_is_well_formed(void **state)
{
	struct harness h;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	harness_open(&h, NULL);
	well_formed(scrape(&h), false);
	well_formed(scrape_as(&h, METRICS_OPENMETRICS), true);
	harness_close(&h);
	bf_buf_done(&out);
}

#define LATENCY "bifrost_upstream_latency_seconds"
#define RETRIES "bifrost_request_retries"

static void histograms(void **state)
{
	static const struct {
		enum metrics_format format;
		const char *lines;
	} expected[] = {
	    {METRICS_PROMETHEUS,
	     "\n# TYPE " LATENCY " histogram\n" LATENCY "_bucket{le=\"0.005\"} 1\n" LATENCY
	     "_bucket{le=\"0.01\"} 1\n" LATENCY "_bucket{le=\"0.025\"} 2\n"},
	    {METRICS_PROMETHEUS, "le=\"1\"} 2\n" LATENCY "_bucket{le=\"2.5\"} 2\n"},
	    {METRICS_PROMETHEUS, "{le=\"900\"} 2\n" LATENCY "_bucket{le=\"+Inf\"} 3\n" LATENCY
				 "_sum 1000.015001\n" LATENCY "_count 3\n"},
	    {METRICS_PROMETHEUS,
	     "\n" RETRIES "_bucket{le=\"0\"} 0\n" RETRIES "_bucket{le=\"1\"} 1\n"},
	    {METRICS_PROMETHEUS, "\n" RETRIES "_sum 23\n" RETRIES "_count 3\n"},
	    {METRICS_OPENMETRICS, "le=\"1.0\"} 2\n" LATENCY "_bucket{le=\"2.5\"} 2\n"},
	    {METRICS_OPENMETRICS,
	     "\n# TYPE bifrost_http_requests counter\nbifrost_http_requests_total 0\n"},
	    {METRICS_OPENMETRICS, "\n# TYPE bifrost_build info\nbifrost_build_info{version"},
	};
	struct harness h;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	harness_open(&h, NULL);
	shm_histogram_observe(&h.seg, h.slot, SHM_H_UPSTREAM_LATENCY, 5000);
	shm_histogram_observe(&h.seg, h.slot, SHM_H_UPSTREAM_LATENCY, 10001);
	shm_histogram_observe(&h.seg, h.slot, SHM_H_UPSTREAM_LATENCY, 1000000000);
	shm_histogram_observe(&h.seg, h.slot, SHM_H_RETRIES, 1);
	shm_histogram_observe(&h.seg, h.slot, SHM_H_RETRIES, 11);
	shm_histogram_observe(&h.seg, h.slot, SHM_H_RETRIES, 11);
	shm_metric_add(&h.seg, h.slot, SHM_M_REQUESTS_OK, 3);
	for (int n = 0; n < 3; n++)
		add_row(&h, h.slot, SHM_SERIES_REST, true, 0);
	for (size_t i = 0; i < BF_ARRAY_LEN(expected); i++) {
		const char *text = scrape_as(&h, expected[i].format);
		if (!strstr(text, expected[i].lines))
			fail_msg("%s is not in\n%s", expected[i].lines, text);
	}
	harness_close(&h);
	bf_buf_done(&out);
}

#define ERRORS "\nbifrost_errors_by_class_total{error_type="
#define STARTS "\nbifrost_process_start_time_seconds{role="

static void errors_and_starts(void **state)
{
	struct harness h;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	harness_open(&h, NULL);
	shm_error_class_count(&h.seg, h.slot, BF_ERROR_CLASS_PROVIDER_TIMEOUT);
	shm_metric_add(&h.seg, h.slot, SHM_M_REQUESTS_FAILED, 1);
	add_row(&h, h.slot, SHM_SERIES_REST, false, 0);
	shm_histogram_observe(&h.seg, h.slot, SHM_H_UPSTREAM_LATENCY, 1);
	shm_histogram_observe(&h.seg, h.slot, SHM_H_RETRIES, 0);
	const char *text = scrape(&h);
	assert_non_null(strstr(text, ERRORS "\"provider_timeout\"} 1\n"));
	assert_non_null(strstr(text, ERRORS "\"_OTHER\"} 0\n"));
	/* Two holders of one identity, one of them about to end: the younger is shown, once. */
	assert_int_equal(shm_slot_assign(&h.seg, BF_ROLE_WRITERD, 0), 1);
	assert_int_equal(shm_slot_enter(&h.seg, 1, 11, INT64_C(1700000000123456789), 1), 0);
	assert_int_equal(shm_slot_assign(&h.seg, BF_ROLE_WRITERD, 0), 2);
	assert_int_equal(shm_slot_enter(&h.seg, 2, 12, INT64_C(1700000001007000000), 1), 0);
	text = scrape(&h);
	assert_non_null(strstr(text, STARTS "\"writerd\",index=\"0\"} 1700000001.007\n"));
	assert_null(strstr(text, " 1700000000.123\n"));
	shm_slot_dead(&h.seg, 2);
	assert_non_null(strstr(scrape(&h), STARTS "\"writerd\",index=\"0\"} 1700000000.123\n"));
	harness_close(&h);
	bf_buf_done(&out);
}

static uint32_t series(struct harness *h, const char *provider, const char *model, uint32_t method)
{
	struct shm_series_name name = {.model = ""};

	memcpy(name.provider, provider, strlen(provider));
	memcpy(name.model, model, strlen(model));
	return shm_series_find(&h->seg, &name, method, true);
}

#define SAMPLE(family, provider, model, method)                               \
	"\nbifrost_" family "_total{provider=\"" provider "\",model=\"" model \
	"\",method=\"" method "\"} "

static void counters_by_name(void **state)
{
	static char cut[SHM_SERIES_MODEL_BYTES + 1], expected[512];
	struct harness h;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	harness_open(&h, NULL);
	assert_non_null(strstr(scrape(&h),
			       SAMPLE("success_requests", "other", "other", "other") "0"
										     "\n"));
	assert_non_null(strstr(scrape(&h), "\nbifrost_model_series 0\n"));
	/* Two processes count into one sample; what needs escapes gets them. */
	uint32_t s = series(&h, "openai", "a\"b\\c\nd", RECORD_METHOD(SHM_OBJECT_RESPONSES, 1));
	int other = shm_slot_assign(&h.seg, BF_ROLE_PROXYD, 1);
	add_row(&h, h.slot, s, true, 40);
	add_row(&h, (uint32_t)other, s, true, 2);
	/* Cut within a character: two bytes of three. */
	memset(cut, 'm', sizeof(cut) - 1);
	memcpy(cut + sizeof(cut) - 3, "\xe2\x82", 2);
	s = series(&h, "groq", cut, RECORD_METHOD(SHM_OBJECT_CHAT, 0));
	add_row(&h, h.slot, s, true, 7);
	const char *text = scrape(&h);
	assert_non_null(strstr(
	    text, SAMPLE("input_tokens", "openai", "a\\\"b\\\\c\\nd", "responses_stream") "42\n"));
	(void)snprintf(expected, sizeof(expected),
		       SAMPLE("input_tokens", "groq", "%.94s%%E2%%82", "chat_completion") "7\n",
		       cut);
	assert_non_null(strstr(text, expected));
	assert_null(strstr(text, "\nbifrost_input_tokens_total "));
	assert_non_null(strstr(text, "\nbifrost_model_series 2\n"));
	well_formed(text, false);
	well_formed(scrape_as(&h, METRICS_OPENMETRICS), true);
	/* As if they had been rows. */
	shm_metric_add(&h.seg, h.slot, SHM_M_INPUT_TOKENS, 49);
	shm_metric_add(&h.seg, h.slot, SHM_M_REQUESTS_OK, 3);
	for (int n = 0; n < 3; n++) {
		shm_histogram_observe(&h.seg, h.slot, SHM_H_UPSTREAM_LATENCY, 1);
		shm_histogram_observe(&h.seg, h.slot, SHM_H_RETRIES, 0);
	}
	harness_close(&h);
	bf_buf_done(&out);
}

/* As many names as there is room for, each as long as it may be and made of escapes: it fits. */
static void the_longest_scrape(void **state)
{
	struct shm_series_name name;
	struct harness h;
	uint32_t n = 0;

	(void)state;
	bf_buf_init(&out, WORKER_TEXT_MAX);
	harness_open(&h, NULL);
	memset(name.provider, '"', sizeof(name.provider));
	memset(name.model, '\\', sizeof(name.model));
	for (; n < 20000 && metrics_series_used(&h.seg) < SHM_SERIES_REST; n++) {
		memcpy(name.model, &n, sizeof(n));
		for (size_t i = 0; i < sizeof(n); i++)
			name.model[i] |= '@';
		(void)shm_series_find(&h.seg, &name, RECORD_METHOD(SHM_OBJECT_CHAT, 1), true);
	}
	assert_int_equal(metrics_series_used(&h.seg), SHM_SERIES_REST);
	bf_buf_clear(&out);
	assert_int_equal(metrics_write(&h.w, METRICS_OPENMETRICS, &out), 0);
	harness_close(&h);
	bf_buf_done(&out);
}

static void who_gets_openmetrics(void **state)
{
	static const struct {
		const char *accept;
		enum metrics_format format;
	} list[] = {
	    {"", METRICS_PROMETHEUS},
	    {"*/*", METRICS_PROMETHEUS},
	    {"text/plain", METRICS_PROMETHEUS},
	    {"application/openmetrics-text", METRICS_OPENMETRICS},
	    {"Application/OpenMetrics-Text ; Version=1.0.0", METRICS_OPENMETRICS},
	    {"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"
	     "version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
	     METRICS_OPENMETRICS},
	    {"application/openmetrics-text;version=0.0.1", METRICS_PROMETHEUS},
	    {"application/openmetrics-text;q=0", METRICS_PROMETHEUS},
	    {"application/openmetrics-text;q=0.2, text/plain;version=0.0.4;q=0.25",
	     METRICS_PROMETHEUS},
	    {"text/plain;q=0.2,application/openmetrics-text;q=0.200", METRICS_OPENMETRICS},
	    {"application/openmetrics-text;q=x", METRICS_PROMETHEUS},
	    {"application/openmetrics-text;q=", METRICS_PROMETHEUS},
	    {"application/openmetrics-textual", METRICS_PROMETHEUS},
	    {",,;;=,", METRICS_PROMETHEUS},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		size_t len = strlen(list[i].accept);
		for (size_t cut = 0; cut <= len; cut++) {
			/* A block of its own size: what reads beyond it is caught. */
			char *accept = malloc(cut + (cut == 0));
			assert_non_null(accept);
			memcpy(accept, list[i].accept, cut);
			enum metrics_format format =
			    metrics_format_of((struct bf_slice){accept, cut});
			if (cut == len && format != list[i].format)
				fail_msg("Accept: %s", list[i].accept);
			free(accept);
		}
	}
	assert_int_equal(metrics_format_of((struct bf_slice){NULL, 0}), METRICS_PROMETHEUS);
}

static char answer[65536];

static void asked(struct harness *h, int fd, const char *headers)
{
	char request[256];

	(void)snprintf(request, sizeof(request), "GET /metrics HTTP/1.1\r\nHost: a\r\n%s\r\n",
		       headers);
	(void)harness_ask(h, fd, request, answer, sizeof(answer));
}

/* Over a connection: type and body agree; a request is observed once. */
static void over_the_wire(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	(void)harness_ask(&h, fd,
			  harness_chat("{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\","
				       "\"content\":\"one\"}]}"),
			  answer, sizeof(answer));
	asked(&h, fd, "Accept: application/openmetrics-text\r\n");
	assert_non_null(
	    strstr(answer, "application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
	assert_non_null(strstr(answer, "\n" LATENCY "_count 1\n"));
	assert_non_null(strstr(answer, "\n" RETRIES "_bucket{le=\"0.0\"} 1\n"));
	assert_non_null(strstr(answer, "\nbifrost_stream_first_token_latency_seconds_count 0\n"));
	assert_string_equal(strrchr(answer, '#'), "# EOF\n");
	asked(&h, fd, "");
	assert_non_null(strstr(answer, "text/plain; version=0.0.4; charset=utf-8\r\n"));
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void numbers_follow(void **state)
{
	struct harness h;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	harness_open(&h, NULL);
	assert_non_null(strstr(scrape(&h), "\nbifrost_http_requests_total 0\n"));
	shm_metric_add(&h.seg, h.slot, SHM_M_HTTP_REQUESTS, 41);
	assert_non_null(strstr(scrape(&h), "\nbifrost_http_requests_total 41\n"));
	assert_non_null(strstr(scrape(&h), "\nbifrost_build_info{version=\"1.2.3\"} 1\n"));
	assert_non_null(strstr(scrape(&h), "\nbifrost_draining 0\n"));
	shm_set_draining(&h.seg, true);
	assert_non_null(strstr(scrape(&h), "\nbifrost_draining 1\n"));
	harness_close(&h);
	bf_buf_done(&out);
}

static struct bf_conf_provider_key keys[2];

static void two_keys(struct bf_config *config)
{
	keys[0] = (struct bf_conf_provider_key){.id = BF_SLICE_LIT("id-1"),
						.name = BF_SLICE_LIT("say \"hi\"\\\n"),
						.value = BF_SLICE_LIT("secret"),
						.enabled = true};
	keys[1] = keys[0];
	keys[1].id = keys[1].name = BF_SLICE_LIT("two");
	harness_mock(config)->keys = (struct bf_array){keys, 2};
}

static void keys_that_are_up(void **state)
{
	const struct shm_key_report limited = {SHM_KEY_RATE_LIMITED, 429, 60000};
	struct harness h;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	harness_open(&h, two_keys);
	const char *text = scrape(&h);
	assert_non_null(strstr(text, "\nbifrost_provider_key_up{provider=\"mock\",key_id=\"id-1\","
				     "key_name=\"say \\\"hi\\\"\\\\\\n\"} 1\n"));
	assert_null(strstr(text, "secret"));
	provider_keys_report(&h.w.providers->items[0]->keys, &h.w, 1, &limited, bf_mono_ms());
	assert_non_null(strstr(scrape(&h), "key_id=\"two\",key_name=\"two\"} 0\n"));
	harness_close(&h);
	bf_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_is_well_formed), cmocka_unit_test(histograms),
	    cmocka_unit_test(errors_and_starts),   cmocka_unit_test(counters_by_name),
	    cmocka_unit_test(the_longest_scrape),  cmocka_unit_test(who_gets_openmetrics),
	    cmocka_unit_test(over_the_wire),       cmocka_unit_test(numbers_follow),
	    cmocka_unit_test(keys_that_are_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
