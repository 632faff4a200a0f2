/* The three classes of unknown keys: typing errors, tuning, safety. */
#include "load_bed.h"

#include "common/schema/config_priv.h"
#include "common/schema/decode.h"
#include "common/schema/unbuilt.h"

static void typing_errors_get_a_hint(void **state)
{
	(void)state;
	bed_says("goverance: {}\n" MOCK,
		 "x.yaml:1:1: error: unknown key \"goverance\": did you mean \"governance\"?\n");
	bed_says("client: {initialPoolSize: 3}\n" MOCK,
		 "x.yaml:1:10: error: unknown key \"initialPoolSize\" in client: did you mean "
		 "\"initial_pool_size\"?\n");
	bed_says("governance: {virtualKeys: []}\n" MOCK,
		 "x.yaml:1:14: error: unknown key \"virtualKeys\" in governance: did you mean "
		 "\"virtual_keys\"?\n");
	bed_says("providers: {mock: {networkConfig: {}}}\n",
		 "x.yaml:1:20: error: unknown key \"networkConfig\" in providers.mock: did you "
		 "mean \"network_config\"?\n");
	bed_says("providers: {mock: {network_config: {maxRetries: 1}}}\n",
		 "x.yaml:1:37: error: unknown key \"maxRetries\" in providers.mock.network_config: "
		 "did you mean \"max_retries\"?\n");
	bed_says("client: {zzzzzz: 3}\n" MOCK,
		 "x.yaml:1:10: error: unknown key \"zzzzzz\" in client: valid here: "
		 "enable_logging, disable_content_logging, max_request_body_size_mb, "
		 "drop_excess_requests, allowed_origins, allowed_headers, required_headers, "
		 "header_filter_config, enforce_auth_on_inference, enforce_governance_header, "
		 "log_retention_days\n");
	/* Internal fields and the name of a map's entry are no keys. */
	bed_mentions("config_hash: x\n" MOCK, "unknown key \"config_hash\"");
	bed_mentions("unbuilt: [x]\n" MOCK, "unknown key \"unbuilt\"");
	bed_mentions("providers: {mock: {name: x}}\n", "unknown key \"name\" in providers.mock");
}

static void tuning_is_a_warning_and_counted(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(
	    bed_load(&b, "client: {initial_pool_size: 300, allow_direct_keys: false, "
			 "prometheus_labels: []}\n"
			 "framework: {pricing: {model_parameters_url: x}}\n"
			 "providers: {mock: {prompt_cache: {auto_inject: true}}}\n"),
	    "x.yaml:1:10: warning: client.initial_pool_size is not part of this build and has no "
	    "effect\n"
	    "x.yaml:2:23: warning: framework.pricing.model_parameters_url is not part of this "
	    "build and has no effect\n"
	    "x.yaml:3:20: warning: providers.mock.prompt_cache is not part of this build and has "
	    "no effect\n");
	assert_int_equal(b.result, 0);
	assert_int_equal(b.config.unbuilt.count, 3);
	assert_string_equal(((struct bf_slice *)b.config.unbuilt.items)[2].ptr,
			    "providers.mock.prompt_cache");
	bed_done(&b);
}

static void safety_refuses_the_start(void **state)
{
	(void)state;
	bed_says("governance: {routing_rules: [{id: a}]}\n" MOCK,
		 "x.yaml:1:14: error: governance.routing_rules is not part of this build and would "
		 "not be enforced: remove it, or list \"governance.routing_rules\" in "
		 "supervisor.accept_unbuilt to start without it\n");
	bed_mentions("guardrails_config: {x: 1}\n" MOCK,
		     "guardrails_config is not part of this build");
	bed_mentions("cluster_config: {enabled: true}\n" MOCK,
		     "cluster_config is not part of this build");
	bed_mentions("client: {whitelisted_routes: [/x]}\n" MOCK,
		     "client.whitelisted_routes is not part of this build");
	bed_mentions(
	    "providers: {mock: {custom_provider_config: {allowed_requests: {chat: true}}}}\n",
	    "list \"providers.*.custom_provider_config.allowed_requests\" in "
	    "supervisor.accept_unbuilt");
}

static void accepted_safety_is_a_warning_and_counted(void **state)
{
	static const char *const entries[] = {"providers.*.proxy_config",
					      "providers.mock.proxy_config"};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(entries); i++) {
		char yaml[256];
		struct load_bed b;

		(void)snprintf(yaml, sizeof(yaml),
			       "providers: {mock: {proxy_config: {type: http}}}\nsupervisor: "
			       "{accept_unbuilt: ['%s']}\n",
			       entries[i]);
		assert_string_equal(bed_load(&b, yaml),
				    "x.yaml:1:20: warning: providers.mock.proxy_config is not part "
				    "of this build and is not "
				    "enforced (accepted by supervisor.accept_unbuilt)\n");
		assert_int_equal(b.config.unbuilt.count, 1);
		bed_done(&b);
	}
	/* An ancestor does not accept what is below it: rules may come to be named there later. */
	bed_mentions("governance: {routing_rules: [{id: a}]}\nsupervisor: {accept_unbuilt: "
		     "governance}\n" MOCK,
		     "error: governance.routing_rules is not part of this build");
}

static void stale_entries_are_told(void **state)
{
	(void)state;
	bed_says("supervisor: {accept_unbuilt: [governance.projects, alerting]}\nalerting: "
		 "{is_enabled: true}\n" MOCK,
		 "x.yaml:1:31: warning: supervisor.accept_unbuilt: \"governance.projects\" accepts "
		 "no key of this file: remove it\n"
		 "x.yaml:2:1: warning: alerting is not part of this build and is not enforced "
		 "(accepted by "
		 "supervisor.accept_unbuilt)\n");
}

static void values_that_ask_for_nothing(void **state)
{
	(void)state;
	bed_accepts(
	    "governance: {virtual_keys: [], teams: [], routing_rules: ~}\n"
	    "cluster_config: {enabled: false, region: x}\nplugins: [{name: otel, enabled: false}]\n"
	    "alerting: {enabled: false}\nclient: {enforce_scim_auth: false, compat: {}}\n"
	    "providers: {mock: {proxy_config: {type: none}, network_config: {"
	    "enforce_http2: false}}}\n");
	bed_mentions("plugins: [{name: otel, enabled: false}, {name: mine}]\n" MOCK,
		     "plugins is not part of this build");
	bed_mentions("governance: [1]\n" MOCK,
		     "x.yaml:1:13: error: governance: must be a mapping, not a list");
}

static void postgres_is_never_silent(void **state)
{
	(void)state;
	bed_says("config_store: {type: postgres}\nlogs_store: {type: clickhouse}\n" MOCK,
		 "x.yaml:1:22: error: config_store.type: postgres is not part of this build: use "
		 "sqlite\n"
		 "x.yaml:2:20: error: logs_store.type: clickhouse is not part of this build: use "
		 "sqlite\n");
	bed_mentions("config_store: {type: postgres}\nsupervisor: {accept_unbuilt: "
		     "[config_store.type]}\n" MOCK,
		     "postgres is not part of this build: use sqlite");
	bed_mentions("logs_store: {type: sqllite}\n" MOCK,
		     "must be sqlite, not \"sqllite\": did you mean \"sqlite\"?");
}

/* The rows themselves: unique, never a key that exists, every part reachable. */
static void the_table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < bf_unbuilt_count; i++) {
		const struct bf_unbuilt *row = &bf_unbuilt_table[i];

		assert_ptr_equal(bf_unbuilt_find(bf_slice_from(row->key)), row);
		assert_false(bf_unbuilt_is_group(bf_slice_from(row->key)));
	}
	assert_true(bf_unbuilt_is_group(BF_SLICE_LIT("governance")));
	assert_false(bf_unbuilt_is_group(BF_SLICE_LIT("govern")));
	assert_false(bf_unbuilt_is_group(BF_SLICE_LIT("")));
	assert_null(bf_unbuilt_child(&bf_unbuilt_table[0], BF_SLICE_LIT("governance")).ptr);
	assert_null(bf_unbuilt_find(BF_SLICE_LIT("server.listen")));
	assert_null(bf_unbuilt_find(BF_SLICE_LIT("logs_store.retention_days")));
}

static bool is_list(const char *part)
{
	static const char *const lists[] = {
	    "keys",      "virtual_keys", "budgets",          "rate_limits", "pricing_overrides",
	    "customers", "teams",        "provider_configs", "mcp_configs", "model_configs"};

	for (size_t i = 0; i < BF_ARRAY_LEN(lists); i++)
		if (strcmp(part, lists[i]) == 0)
			return true;
	return false;
}

/* "a.*.keys.b" as {a: {mock: {keys: [{b: [unusual]}]}}}. */
static void write_row(const char *key, char *yaml, size_t size)
{
	char copy[160], closers[64] = "";
	const size_t first = sizeof(closers) - 2;
	size_t used = 0, depth = sizeof(closers) - 1;

	(void)snprintf(copy, sizeof(copy), "%s", key);
	for (char *part = strtok(copy, "."); part; part = strtok(NULL, ".")) {
		const char *name = strcmp(part, "*") == 0 ? "mock" : part;

		used += (size_t)snprintf(yaml + used, size - used, "{%s: ", name);
		closers[--depth] = '}';
		if (is_list(part) || (strcmp(part, "providers") == 0 && depth < first)) {
			used += (size_t)snprintf(yaml + used, size - used, "[");
			closers[--depth] = ']';
		}
	}
	(void)snprintf(yaml + used, size - used, "[unusual]%s\n", closers + depth);
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned count = 0;

	for (; (text = strstr(text, part)); text++)
		count++;
	return count;
}

/* Every row, used once, is met by the loader and gets its class. */
static void every_row_is_reachable(void **state)
{
	(void)state;
	for (size_t i = 0; i < bf_unbuilt_count; i++) {
		const struct bf_unbuilt *row = &bf_unbuilt_table[i];
		char yaml[512];
		struct load_bed b;

		if (row->class == BF_UNBUILT_CHOICE)
			continue;
		write_row(row->key, yaml, sizeof(yaml));
		/* Other errors are of what is missing beside it. */
		const char *text = bed_load(&b, yaml);
		if (!strstr(text, row->class == BF_UNBUILT_SAFETY ? "would not be enforced"
								  : "has no effect") ||
		    count_of(text, "is not part of this build") != 1)
			fail_msg("%s\n%s", yaml, text);
		bed_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(typing_errors_get_a_hint),
	    cmocka_unit_test(tuning_is_a_warning_and_counted),
	    cmocka_unit_test(safety_refuses_the_start),
	    cmocka_unit_test(accepted_safety_is_a_warning_and_counted),
	    cmocka_unit_test(stale_entries_are_told),
	    cmocka_unit_test(values_that_ask_for_nothing),
	    cmocka_unit_test(postgres_is_never_silent),
	    cmocka_unit_test(the_table_is_sound),
	    cmocka_unit_test(every_row_is_reachable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
