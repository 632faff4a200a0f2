/* Where a price sheet may be fetched, and how often. */
#include "load_bed.h"

static void places_of_price_sheets(void **state)
{
	static const char *const good[] = {
	    "https://prices.example/sheet.json?v=2",
	    "https://[2001:db8::1]:8443/x",
	    "file:///p.json",
	    "http://127.0.0.1:8080/x",
	    "http://localhost/",
	    "http://[::1]/",
	};
	static const char *const bad[] = {
	    "prices.example", "file://prices", "file:///",
	    "ftp://h/x",      "https://",      "https://u:p@h/x",
	};
	struct load_bed b;
	char yaml[200];

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(good); i++) {
		(void)snprintf(yaml, sizeof(yaml),
			       "framework: {pricing: {pricing_url: \"%s\"}}\n" MOCK, good[i]);
		bed_accepts(yaml);
	}
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++) {
		(void)snprintf(yaml, sizeof(yaml),
			       "framework: {pricing: {pricing_url: \"%s\"}}\n" MOCK, bad[i]);
		bed_mentions(yaml, "pricing_url: must be https://");
	}
	bed_mentions("framework: {pricing: {pricing_url: \"http://prices.example/\"}}\n" MOCK,
		     "use https://");
	bed_mentions("framework: {pricing: {pricing_url: \"https://h/a b\"}}\n" MOCK, "%20");
	bed_mentions("framework: {pricing: {pricing_sync_interval: 3599}}\n" MOCK,
		     "must be from 1h to");
	assert_string_equal(
	    bed_load(&b, "framework: {pricing: {pricing_sync_interval: 7200}}\n" MOCK), "");
	assert_int_equal(b.config.pricing.pricing_sync_interval_ms, 7200000);
	bed_done(&b);
	assert_string_equal(bed_load(&b, MOCK), "");
	assert_int_equal(b.config.pricing.pricing_sync_interval_ms, 86400000);
	bed_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(places_of_price_sheets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
