/* From nodes to structs: defaults, types, bounds, unknown keys, references; all errors of a file in
 * one run. */
#include "load_bed.h"

#include "common/schema/decode.h"

static void defaults_of_everything(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, MOCK), "");
	const struct bf_config *c = &b.config;
	assert_int_equal(c->server.listen.count, 1);
	assert_string_equal(((struct bf_slice *)c->server.listen.items)[0].ptr, "127.0.0.1:8080");
	assert_int_equal(c->server.read_buffer_size_bytes, 65536);
	assert_int_equal(c->server.header_timeout_ms, 10000);
	assert_int_equal(c->server.body_timeout_ms, 30000);
	assert_int_equal(c->server.idle_timeout_ms, 75000);
	assert_int_equal(c->server.write_timeout_ms, 60000);
	assert_int_equal(c->server.max_connections, 10000);
	assert_int_equal(c->server.body_memory_bytes, 256 << 20);
	assert_int_equal(c->server.heartbeat_interval_ms, 15000);
	assert_int_equal(c->server.early_heartbeat_after_ms, 0);
	assert_int_equal(c->server.tls.cert.len + c->server.tls.key.len, 0);
	assert_false(c->client.drop_excess_requests);
	assert_int_equal(c->client.allowed_origins.count, 1);
	assert_string_equal(((struct bf_slice *)c->client.allowed_origins.items)[0].ptr, "*");
	assert_int_equal(c->client.allowed_headers.count + c->client.required_headers.count, 0);
	assert_int_equal(c->client.header_filter_config.allowlist.count, 0);
	assert_int_equal(c->client.header_filter_config.denylist.count, 0);
	assert_true(c->client.enable_logging);
	assert_false(c->client.disable_content_logging);
	assert_int_equal(c->client.max_request_body_size_bytes, 100 << 20);
	assert_true(c->config_store.enabled && c->logs_store.enabled);
	assert_string_equal(c->config_store.path.ptr, "config.db");
	assert_string_equal(c->logs_store.path.ptr, "logs.db");
	assert_int_equal(c->logs_store.retention_days, 365);
	assert_int_equal(c->supervisor.workers, 0);
	assert_int_equal(c->supervisor.drain_timeout_ms, 90000);
	assert_int_equal(c->supervisor.ready_timeout_ms, 10000);
	assert_int_equal(c->supervisor.stall_timeout_ms, 30000);
	assert_int_equal(c->supervisor.log_level, 1);
	assert_int_equal(c->version, 2);
	assert_int_equal(c->config_hash.len, 64);
	assert_int_equal(c->unbuilt.count, 0);
	bed_done(&b);
}

static void defaults_of_a_provider(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, MOCK), "");
	const struct bf_conf_provider *p = b.config.providers.items;
	const struct bf_conf_network *n = &p->network_config;
	assert_int_equal(n->extra_headers.count, 0);
	assert_int_equal(n->request_timeout_ms, 30000);
	assert_int_equal(n->connect_timeout_ms, 10000);
	assert_int_equal(n->first_byte_timeout_ms, 0);
	assert_int_equal(n->total_timeout_ms, 3600000);
	assert_int_equal(n->stream_idle_timeout_ms, 60000);
	assert_int_equal(n->max_retries, 0);
	assert_int_equal(n->retry_backoff_initial_ms, 500);
	assert_int_equal(n->retry_backoff_max_ms, 5000);
	assert_int_equal(n->max_conns_per_host, 5000);
	assert_false(n->insecure_skip_verify);
	assert_false(n->allow_private_network);
	assert_int_equal(p->concurrency_and_buffer_size.concurrency, 1000);
	assert_int_equal(p->concurrency_and_buffer_size.buffer_size, 5000);
	assert_int_equal(p->custom_provider_config.base_provider_type, BF_BASE_PROVIDER_OPENAI);
	assert_false(p->custom_provider_config.is_key_less);
	assert_false(p->custom_provider_config.does_not_send_done_marker);
	bed_done(&b);
}

static void every_key_is_taken(void **state)
{
	static const char yaml[] =
	    "$schema: https://example.org/schema.json\nversion: 1\n"
	    "server: {listen: ':8080', read_buffer_size: 8192, header_timeout: 1s, body_timeout: "
	    "2s, idle_timeout: 3s,\n"
	    "  write_timeout: 4s, max_connections: 5, body_memory: 600MB}\n"
	    "client: {enable_logging: true, disable_content_logging: true, "
	    "max_request_body_size_mb: 7}\n"
	    "providers:\n  openai:\n    keys:\n"
	    "      - {id: k1, name: one, value: env.KEY, models: [a, b], blacklisted_models: [c], "
	    "weight: 0.25, enabled: false}\n"
	    "      - {name: two, value: file./etc/secret, models: []}\n"
	    "    network_config: {base_url: 'https://x.example:444/v1', ca_cert_pem: file.secret,\n"
	    "      default_request_timeout_in_seconds: 8, stream_idle_timeout_in_seconds: 9s}\n"
	    "  mock: {mock_config: {reply: hi, latency: 10ms, token_interval: 11ms}}\n"
	    "config_store: {enabled: false, type: sqlite, config: {path: a.db}}\n"
	    "logs_store: {enabled: true, type: sqlite, retention_days: 12, config: {path: b.db}}\n"
	    "supervisor: {workers: 13, drain_timeout: 14s, ready_timeout: 15s, stall_timeout: 16s, "
	    "state_dir: /s,\n"
	    "  runtime_dir: /r, log_level: error, accept_unbuilt: []}\n";
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, yaml), "");
	const struct bf_conf_provider *p = b.config.providers.items;
	const struct bf_conf_provider_key *keys = p->keys.items;
	assert_string_equal(((struct bf_slice *)b.config.server.listen.items)[0].ptr, ":8080");
	assert_int_equal(b.config.server.read_buffer_size_bytes, 8192);
	assert_int_equal(b.config.client.max_request_body_size_bytes, 7 << 20);
	assert_int_equal(b.config.providers.count, 2);
	assert_string_equal(p->name.ptr, "openai");
	assert_string_equal(keys[0].id.ptr, "k1");
	assert_string_equal(keys[0].value.ptr, "hunter2");
	assert_int_equal(keys[0].models.count, 2);
	assert_int_equal(keys[0].weight_micro, 250000);
	assert_false(keys[0].enabled);
	assert_string_equal(keys[1].value.ptr, "hunter3");
	assert_int_equal(keys[1].weight_micro, 1000000);
	assert_int_equal(keys[1].id.len, 36);
	assert_string_equal(p->network_config.ca_cert_pem.ptr, "hunter3");
	assert_int_equal(p->network_config.request_timeout_ms, 8000);
	assert_int_equal(p->network_config.stream_idle_timeout_ms, 9000);
	assert_int_equal(p[1].mock_config.token_interval_ms, 11);
	assert_false(b.config.config_store.enabled);
	assert_int_equal(b.config.logs_store.retention_days, 12);
	assert_int_equal(b.config.client.log_retention_days, 12);
	assert_int_equal(b.config.supervisor.workers, 13);
	assert_string_equal(b.config.supervisor.runtime_dir.ptr, "/r");
	assert_int_equal(b.config.supervisor.log_level, 3);
	bed_done(&b);
}

static void all_errors_in_one_run_in_file_order(void **state)
{
	(void)state;
	bed_says(
	    "server:\n  listne: x\n  max_connections: many\n  idle_timeout: 99d\nclient: "
	    "[1]\nproviders:\n  groq: {}\n"
	    "supervisor:\n  workers: 33\n  log_level: loud\n  drainTimeout: 5s\n",
	    "x.yaml:2:3: error: unknown key \"listne\" in server: did you mean \"listen\"?\n"
	    "x.yaml:3:20: error: server.max_connections: must be a whole number, not \"many\"\n"
	    "x.yaml:4:17: error: server.idle_timeout: must be from 100ms to 1d, not \"99d\"\n"
	    "x.yaml:5:9: error: client: must be a mapping, not a list\n"
	    "x.yaml:7:3: error: providers.groq: needs at least one key: add keys: [{name: NAME, "
	    "value: env.VARIABLE}]\n"
	    "x.yaml:9:12: error: supervisor.workers: must be from 0 to 32, not \"33\"\n"
	    "x.yaml:10:14: error: supervisor.log_level: must be one of debug, info, warn, error, "
	    "not \"loud\"\n"
	    "x.yaml:11:3: error: unknown key \"drainTimeout\" in supervisor: did you mean "
	    "\"drain_timeout\"?\n");
}

static void wrong_kinds(void **state)
{
	(void)state;
	bed_says(
	    "server: {listen: {a: b}, idle_timeout: [1s]}\nproviders: {mock: x, groq: {keys: "
	    "{name: a}}}\nlogs_store: 5\n",
	    "x.yaml:1:18: error: server.listen: must be a list of strings, not a mapping\n"
	    "x.yaml:1:40: error: server.idle_timeout: must be a duration such as 30s, not a list\n"
	    "x.yaml:2:19: error: providers.mock: must be a mapping, not a string\n"
	    "x.yaml:2:35: error: providers.groq.keys: must be a list, not a mapping\n"
	    "x.yaml:3:13: error: logs_store: must be a mapping, not a number\n");
	bed_says("providers: [mock]\n",
		 "x.yaml:1:12: error: providers: must be a mapping, not a list\n");
	bed_mentions("server: {listen: ['127.0.0.1:1', [x]]}\n" MOCK,
		     "x.yaml:1:34: error: server.listen[1]: must be a string, not a list\n");
	bed_mentions("server: {listen: [~]}\n" MOCK,
		     "server.listen[0]: must be a string, not null");
	bed_mentions("providers: {groq: {keys: [x]}}\n",
		     "providers.groq.keys[0]: must be a mapping, not a string");
}

static void too_many(void **state)
{
	struct bf_buf yaml;

	(void)state;
	bf_buf_init(&yaml, 1 << 20);
	assert_int_equal(bf_buf_printf(&yaml, "server:\n  listen:\n"), 0);
	for (int i = 1; i <= 65; i++)
		assert_int_equal(bf_buf_printf(&yaml, "    - '127.0.0.1:%d'\n", i), 0);
	assert_int_equal(bf_buf_append(&yaml, MOCK, sizeof(MOCK)), 0);
	bed_says(yaml.data,
		 "x.yaml:3:5: error: server.listen: has 65 entries: at most 64 are allowed\n");
	bf_buf_clear(&yaml);
	for (int i = 0; i < 150; i++)
		assert_int_equal(bf_buf_printf(&yaml, "%s  name%d: {bad: 1}\n",
					       i ? "" : "logs_store: {x: 1}\nproviders:\n", i),
				 0);
	assert_int_equal(bf_buf_append(&yaml, "", 1), 0);
	bed_mentions(yaml.data, "x.yaml:3:3: error: providers: has 150 entries");
	bf_buf_done(&yaml);
}

static void a_hundred_errors_are_shown(void **state)
{
	struct bf_buf yaml;
	struct load_bed b;
	size_t lines = 0;

	(void)state;
	bf_buf_init(&yaml, 1 << 20);
	for (int i = 0; i < 130; i++)
		assert_int_equal(bf_buf_printf(&yaml, "zzzzz%d: 1\n", i), 0);
	for (int i = 0; i < 70; i++)
		assert_int_equal(bf_buf_printf(&yaml, "%s  - {x: 1}\n", i ? "" : "plugins:\n"), 0);
	assert_int_equal(bf_buf_append(&yaml, MOCK, sizeof(MOCK)), 0);
	const char *text = bed_load(&b, yaml.data);
	assert_int_equal(b.diags.error_count, 131);
	assert_int_equal(b.diags.list.count, 101);
	assert_non_null(strstr(text, "x.yaml: error: 31 more not shown: mend these first\n"));
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 101);
	bed_done(&b);
	bf_buf_done(&yaml);
}

/* One use of every row, with as many warnings as there are tuning keys: no error may be lost behind
 * them. */
static void warnings_do_not_push_errors_out(void **state)
{
	struct bf_buf yaml;
	struct load_bed b;

	(void)state;
	bf_buf_init(&yaml, 1 << 20);
	assert_int_equal(bf_buf_printf(&yaml, "providers:\n"), 0);
	for (int i = 0; i < 60; i++)
		assert_int_equal(bf_buf_printf(&yaml,
					       "  p%d: {network_config: {base_url: 'http://[::1]', "
					       "enforce_http2: true}}\n",
					       i),
				 0);
	for (int i = 0; i < 99; i++)
		assert_int_equal(bf_buf_printf(&yaml, "zzzzz%d: 1\n", i), 0);
	assert_int_equal(bf_buf_append(&yaml, "", 1), 0);
	const char *text = bed_load(&b, yaml.data);
	assert_int_equal(b.diags.error_count, 99);
	assert_int_equal(b.diags.warning_count, 60);
	assert_non_null(strstr(text, "zzzzz98"));
	bed_done(&b);
	bf_buf_done(&yaml);
}

static void diagnostics_are_single_lines(void **state)
{
	struct load_bed b;
	const char *text = bed_load(&b, "\"a\\nerror: forged\\x1b[2J\": 1\n" MOCK);

	(void)state;
	assert_non_null(strstr(text, "x.yaml:1:1: error: unknown key \"a?error: forged?[2J\""));
	bed_done(&b);
	bed_mentions("logs_store: {type: \"sq\\nl\"}\n" MOCK, "not \"sq?l\"");
}

static void paths_have_text_and_pattern(void **state)
{
	struct bf_path providers = {.name = BF_SLICE_LIT("providers"), .kind = BF_PATH_KEY};
	struct bf_path name = {
	    .up = &providers, .name = BF_SLICE_LIT("openai"), .kind = BF_PATH_NAME};
	struct bf_path keys = {.up = &name, .name = BF_SLICE_LIT("keys"), .kind = BF_PATH_KEY};
	struct bf_path index = {.up = &keys, .index = 3, .kind = BF_PATH_INDEX};
	struct bf_path weight = {.up = &index, .name = BF_SLICE_LIT("weight"), .kind = BF_PATH_KEY};
	char longest[600], out[BF_PATH_TEXT_MAX];

	(void)state;
	assert_string_equal(bf_path_text(&weight, out), "providers.openai.keys[3].weight");
	assert_string_equal(bf_path_pattern(&weight, out), "providers.*.keys.weight");
	assert_string_equal(bf_path_text(NULL, out), "the file");
	assert_string_equal(bf_path_pattern(NULL, out), "");
	memset(longest, 'n', sizeof(longest));
	name.name = (struct bf_slice){longest, sizeof(longest)};
	assert_int_equal(strlen(bf_path_text(&weight, out)), BF_PATH_TEXT_MAX - 1);
}

static void memory_runs_out_at_every_point(void **state)
{
	static const char yaml[] = "server: {listen: [':1', ':2'], idle: 5}\nproviders: {groq: "
				   "{keys: [{name: a, value: env.KEY}]}}\n"
				   "framework: {pricing: {a: 1}}\n";
	int loaded = 0;

	(void)state;
	for (size_t cap = 0; cap < 20000; cap += 64) {
		struct bf_arena arena;
		struct bf_config config;
		struct bf_diags diags;
		struct bf_buf text;

		bf_arena_init(&arena, cap);
		bf_buf_init(&text, 1 << 16);
		int r = bf_config_load(BF_SLICE_LIT("x.yaml"),
				       (struct bf_slice){yaml, sizeof(yaml) - 1}, &bed_env, &arena,
				       &config, &diags);
		/* "idle" is unknown, so it never loads; but it always says so or that memory ran
		 * out. */
		assert_int_not_equal(r, 0);
		assert_true(diags.error_count > 0);
		assert_int_equal(bf_diags_print(&diags, &text), 0);
		assert_true(bf_buf_len(&text) > 0);
		loaded += memmem(text.data, bf_buf_len(&text), "unknown key \"idle\"", 18) != NULL;
		bf_buf_done(&text);
		bf_arena_done(&arena);
	}
	assert_true(loaded > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_of_everything),
	    cmocka_unit_test(defaults_of_a_provider),
	    cmocka_unit_test(every_key_is_taken),
	    cmocka_unit_test(all_errors_in_one_run_in_file_order),
	    cmocka_unit_test(wrong_kinds),
	    cmocka_unit_test(too_many),
	    cmocka_unit_test(a_hundred_errors_are_shown),
	    cmocka_unit_test(warnings_do_not_push_errors_out),
	    cmocka_unit_test(diagnostics_are_single_lines),
	    cmocka_unit_test(paths_have_text_and_pattern),
	    cmocka_unit_test(memory_runs_out_at_every_point),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
