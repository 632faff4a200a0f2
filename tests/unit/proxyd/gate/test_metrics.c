/* Metrics text: sorted families, HELP and TYPE before values, numbers that follow the shards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "proxyd/gate/metrics.h"
#include "tests/unit/proxyd/harness.h"

static struct bf_buf out;

static const char *scrape(struct harness *h)
{
	bf_buf_clear(&out);
	assert_int_equal(metrics_write(&h->w, &out), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	return bf_buf_slice(&out).ptr;
}

/* Every line is HELP, TYPE or a sample of the family they named; families are sorted and appear
 * once. */
static void text_is_well_formed(void **state)
{
	struct harness h;
	char family[128] = "", last[128] = "";
	size_t families = 0, samples = 0;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	harness_open(&h, NULL);
	const char *line = scrape(&h);
	assert_true(line[strlen(line) - 1] == '\n');
	for (; *line; line = strchr(line, '\n') + 1) {
		char kind[16];
		if (sscanf(line, "# HELP %127s", family) == 1) {
			assert_true(strcmp(last, family) < 0);
			(void)snprintf(last, sizeof(last), "%s", family);
			families++;
		} else if (strncmp(line, "# TYPE ", 7) == 0) {
			assert_int_equal(strncmp(line + 7, family, strlen(family)), 0);
			assert_int_equal(sscanf(line + 7 + strlen(family), " %15s", kind), 1);
			/* promtool: a counter's name ends in _total, a gauge's does not. */
			bool total = strlen(family) > 6 &&
				     strcmp(family + strlen(family) - 6, "_total") == 0;
			assert_string_equal(kind, total ? "counter" : "gauge");
		} else {
			assert_int_equal(strncmp(line, family, strlen(family)), 0);
			assert_true(line[strlen(family)] == ' ' || line[strlen(family)] == '{');
			samples++;
		}
	}
	assert_int_equal(families, SHM_METRIC_COUNT + 6);
	assert_true(samples > families);
	harness_close(&h);
	bf_buf_done(&out);
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
	provider_keys_report(&h.providers.keys[0], &h.w, 1, &limited, bf_mono_ms());
	assert_non_null(strstr(scrape(&h), "key_id=\"two\",key_name=\"two\"} 0\n"));
	harness_close(&h);
	bf_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_is_well_formed),
	    cmocka_unit_test(numbers_follow),
	    cmocka_unit_test(keys_that_are_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
