/* What is true of a whole configuration, and of one provider. */
#include "load_bed.h"

#include "common/schema/config_priv.h"
#include "common/schema/provider_name.h"

static void listen_addresses(void **state)
{
	static const char *const good[] = {"127.0.0.1:8080", "[::1]:8080",   "[::]:1",
					   ":65535",         "localhost:80", "0.0.0.0:80"};
	static const char *const bad[] = {"",
					  ":",
					  "8080",
					  "127.0.0.1",
					  "127.0.0.1:0",
					  "127.0.0.1:65536",
					  "::1:80",
					  "[::1]",
					  "[127.0.0.1]:80",
					  "example.org:80",
					  "1.2.3:80",
					  "127.0.0.1:80 ",
					  "[::1:80",
					  "[]:80",
					  "127.0.0.1:-1",
					  "http://x:80",
					  " :80"};
	struct bf_err err;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(good); i++)
		assert_int_equal(bf_listen_check(bf_slice_from(good[i]), &err), 0);
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++)
		if (bf_listen_check(bf_slice_from(bad[i]), &err) == 0)
			fail_msg("\"%s\" was accepted", bad[i]);
	bed_says(
	    "server:\n  listen:\n    - ':1'\n    - 'nope:1'\n    - ':1'\n" MOCK,
	    "x.yaml:4:7: error: server.listen: \"nope\" is no address: write an IPv4 address, an "
	    "IPv6 address in [], or "
	    "localhost\nx.yaml:5:7: error: server.listen: \":1\" stands there twice: remove one\n");
	bed_says("server: {listen: []}\n" MOCK,
		 "x.yaml:1:18: error: server.listen: is empty: give at least one address\n");
}

static void at_least_one_provider(void **state)
{
	(void)state;
	bed_mentions("providers: {}\n",
		     "x.yaml:1:12: error: providers: at least one provider is needed");
	bed_mentions("providers:\n", "at least one provider is needed");
	bed_mentions("server: {}\n", "x.yaml: error: providers: at least one provider is needed");
}

static void provider_needs(void **state)
{
	(void)state;
	bed_says("providers: {openia: {keys: [{name: a, value: x}]}}\n",
		 "x.yaml:1:13: error: providers.openia: unknown provider: did you mean \"openai\"? "
		 "Otherwise give its "
		 "network_config.base_url\n");
	bed_says("providers: {acme: {keys: [{name: a, value: x}]}}\n",
		 "x.yaml:1:13: error: providers.acme: unknown provider: give its "
		 "network_config.base_url (any server that "
		 "speaks the OpenAI API will do)\n");
	bed_accepts("providers: {acme: {keys: [{name: a, value: x}], network_config: {base_url: "
		    "'https://acme.example/v1'}}}\n");
	bed_accepts("providers: {acme: {network_config: {base_url: 'http://127.0.0.1:9000'}}}\n");
	bed_accepts("providers: {ollama: {}, vllm: {}, sgl: {}}\n");
	bed_accepts("providers: {vllm: {network_config: {base_url: 'https://gpu.example'}}}\n");
	bed_accepts("providers: {vllm: {keys: [{name: a}], network_config: {base_url: "
		    "'https://gpu.example'}}}\n");
	bed_mentions("providers: {groq: {network_config: {base_url: 'https://gpu.example'}}}\n",
		     "needs at least one key");
	bed_mentions("providers: {groq: {keys: []}}\n", "needs at least one key");
	bed_mentions("providers: {groq: {keys: [{name: a}]}}\n", "keys[0].value is empty");
	bed_accepts(
	    "providers: {groq: {keys: [{name: a, enabled: false}, {name: b, value: x}]}}\n");
	bed_mentions("providers: {UPPER: {network_config: {base_url: 'http://localhost'}}}\n",
		     "may hold a-z");
	bed_mentions("providers: {'': {network_config: {base_url: 'http://localhost'}}}\n",
		     "a provider needs a name");
	bed_mentions(
	    "providers: {groq: {keys: [{name: a, value: x}], mock_config: {latency: 1s}}}\n",
	    "mock_config is for the provider \"mock\" only");
	bed_mentions("providers: {mock: {network_config: {base_url: 'http://localhost'}}}\n",
		     "is built in");
}

static void limits_below_the_workers(void **state)
{
	(void)state;
	bed_says("supervisor: {workers: 4}\nproviders:\n  vllm:\n    concurrency_and_buffer_size: "
		 "{concurrency: 3, buffer_size: 1}\n    network_config: {max_conns_per_host: 1}\n",
		 "x.yaml:4:48: warning: "
		 "providers.vllm.concurrency_and_buffer_size.concurrency: 3 is divided among 4 "
		 "workers and at least one runs on each: lower supervisor.workers, or expect 4\n"
		 "x.yaml:5:42: warning: providers.vllm.network_config.max_conns_per_host: 1 is "
		 "divided among 4 workers and at least one runs on each: lower supervisor.workers, "
		 "or expect 4\n");
	bed_accepts(
	    "supervisor: {workers: 4}\nproviders: {vllm: {concurrency_and_buffer_size: "
	    "{concurrency: 4, buffer_size: 0}, network_config: {max_conns_per_host: 4}}}\n");
	bed_accepts("supervisor: {workers: 1}\nproviders: {vllm: {concurrency_and_buffer_size: "
		    "{concurrency: 1}}}\n");
}

static void urls(void **state)
{
	static const char *const loopback[] = {"http://localhost", "https://localhost:1/x",
					       "http://127.0.0.1", "http://127.9.9.9:1",
					       "http://[::1]:80/v1"};
	static const char *const other[] = {"",
					    "localhost",
					    "http://",
					    "http://10.0.0.1",
					    "http://[::2]",
					    "http://localhost.example",
					    "http://127.0.0.1.example",
					    "http://128.0.0.1",
					    "http://[::1",
					    "http://x@localhost",
					    "ftp://localhost",
					    "http://:80"};
	static const char *const bad[] = {"ftp://x",
					  "x.example",
					  "http://",
					  "//x",
					  "http://[::1",
					  "https://user:pw@x.example",
					  "https://h.x/?k=s",
					  "https://h.x/v1#x",
					  "https://h.x:0",
					  "https://h.x:/v1",
					  "https://h.x:99999/",
					  "https://[::1]:x/v1",
					  "https://h.x/a b",
					  "https://[::1]x",
					  "https://h.x:8080x/"};
	static const char *const good[] = {"http://[::1]:8080/v1/", "https://h.x:65535",
					   "https://h.x/v1beta/", "http://127.0.0.1:1"};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(loopback); i++)
		assert_true(bf_url_is_loopback(bf_slice_from(loopback[i])));
	for (size_t i = 0; i < BF_ARRAY_LEN(other); i++)
		assert_false(bf_url_is_loopback(bf_slice_from(other[i])));
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++) {
		char yaml[200];

		(void)snprintf(yaml, sizeof(yaml),
			       "providers: {groq: {keys: [{name: a, value: x}], network_config: "
			       "{base_url: '%s'}}}\n",
			       bad[i]);
		bed_mentions(yaml, "base_url must be http://HOST");
	}
	for (size_t i = 0; i < BF_ARRAY_LEN(good); i++)
		assert_true(bf_url_is_askable(bf_slice_from(good[i])));
	bed_says("providers: {groq: {keys: [{name: a, value: \"sk-a\\nb\"}]}}\n",
		 "x.yaml:1:13: error: providers.groq: keys[0].value holds a space, a line break or "
		 "what is no ASCII, and could not be sent in a header: give it without\n");
	assert_true(bf_provider_is_known(BF_SLICE_LIT("openrouter")));
	assert_false(bf_provider_is_known(BF_SLICE_LIT("open")));
	bed_says("providers: {groq: {keys: [{name: a, value: x}], network_config: {base_url: "
		 "'http://x.example'}}}\n",
		 "x.yaml:1:76: warning: providers.groq: keys and prompts go unencrypted over "
		 "http://: use https://\n");
}

static void names_of_providers(void **state)
{
	(void)state;
	for (enum bf_provider_kind k = BF_PROVIDER_MOCK; k < BF_PROVIDER_CUSTOM; k++) {
		assert_int_equal(bf_provider_kind_of(bf_slice_from(bf_provider_kind_name(k))), k);
		assert_true(bf_provider_is_known(bf_slice_from(bf_provider_kind_name(k))));
	}
	assert_int_equal(bf_provider_kind_of(BF_SLICE_LIT("")), BF_PROVIDER_CUSTOM);
	assert_int_equal(bf_provider_kind_of(BF_SLICE_LIT("custom")), BF_PROVIDER_CUSTOM);
	assert_int_equal(bf_provider_kind_of(BF_SLICE_LIT("opena")), BF_PROVIDER_CUSTOM);
	assert_true(bf_provider_kind_is_keyless(BF_PROVIDER_VLLM));
	assert_false(bf_provider_kind_is_keyless(BF_PROVIDER_CUSTOM));
}

static void key_names_and_ids_are_unique(void **state)
{
	struct load_bed a, b;

	(void)state;
	bed_says("providers:\n  groq: {keys: [{name: a, value: x}]}\n  xai: {keys: [{name: b, "
		 "value: x}, {name: a, value: y}]}\n",
		 "x.yaml:3:44: error: the key name \"a\" stands in line 2 already: every key needs "
		 "its own\n");
	bed_mentions("providers:\n  groq: {keys: [{name: a, id: i, value: x}, {name: b, id: i, "
		     "value: x}]}\n",
		     "the key id \"i\" stands in line 2 already");
	bed_mentions("providers: {groq: {keys: [{name: a, id: "
		     "0123456789abcdef0123456789abcdef0123456789abcdefx, value: x}]}}\n",
		     "keys[0].id: must have at most 48 bytes, not 49");
	bed_mentions("providers: {groq: {keys: [{name: \"a\\tb\", value: x}]}}\n",
		     "keys[0].name: has a control character");
	/* Derived ids are stable and differ. */
	assert_string_equal(
	    bed_load(&a, "providers: {groq: {keys: [{name: a, value: x}, {name: b, value: x}]}}\n"),
	    "");
	assert_string_equal(bed_load(&b, "providers: {xai: {keys: [{name: a, value: z}]}}\n"), "");
	const struct bf_conf_provider_key *x =
	    ((struct bf_conf_provider *)a.config.providers.items)->keys.items;
	const struct bf_conf_provider_key *y =
	    ((struct bf_conf_provider *)b.config.providers.items)->keys.items;
	assert_string_equal(x[0].id.ptr, y[0].id.ptr);
	assert_string_not_equal(x[0].id.ptr, x[1].id.ptr);
	bed_done(&a);
	bed_done(&b);
}

/* A provider is one entity, and an entity has a bound. */
static void a_provider_that_is_too_large(void **state)
{
	static char yaml[2u << 20];
	size_t n = (size_t)snprintf(yaml, sizeof(yaml), "providers: {groq: {keys: [");

	(void)state;
	for (int key = 0; key < 6; key++) {
		n += (size_t)snprintf(yaml + n, sizeof(yaml) - n, "{name: k%d, value: x, models: [",
				      key);
		for (int i = 0; i < 1000; i++)
			n += (size_t)snprintf(yaml + n, sizeof(yaml) - n, "m%0199d,", i);
		n += (size_t)snprintf(yaml + n, sizeof(yaml) - n, "m]},");
	}
	(void)snprintf(yaml + n, sizeof(yaml) - n, "]}}\n");
	bed_mentions(yaml, "providers.groq: takes more than 1024 KiB with its keys");
}

/* A key that lists so many thousand models of 200 letters. */
static const char *large_key(int lists)
{
	static char yaml[2u << 20];
	size_t n = (size_t)snprintf(yaml, sizeof(yaml), "providers:\n  mock: {}\n");

	for (int i = 0; i < lists; i++)
		n += (size_t)snprintf(yaml + n, sizeof(yaml) - n,
				      "  p%d: {network_config: {base_url: 'http://127.0.0.1:1'}}\n",
				      i);
	n += (size_t)snprintf(yaml + n, sizeof(yaml) - n,
			      "governance:\n  virtual_keys:\n"
			      "    - {name: small, value: sk-small}\n"
			      "    - name: ops\n      value: sk-ops\n      provider_configs:\n");
	for (int list = 0; list < lists; list++) {
		n += (size_t)snprintf(yaml + n, sizeof(yaml) - n,
				      "        - {provider: p%d, allowed_models: [", list);
		for (int i = 0; i < 1000; i++)
			n += (size_t)snprintf(yaml + n, sizeof(yaml) - n, "m%0199d,", i);
		n += (size_t)snprintf(yaml + n, sizeof(yaml) - n, "m]}\n");
	}
	return yaml;
}

/* Anything that is kept by itself has the same bound. */
static void an_entry_that_is_too_large(void **state)
{
	(void)state;
	bed_accepts(large_key(5));
	bed_says(
	    large_key(6),
	    "x.yaml:12:7: error: governance.virtual_keys[1]: takes more than 1024 KiB with all "
	    "its lists: give them fewer entries, or share them out among several\n");
}

static void empty_models_are_ambiguous(void **state)
{
	(void)state;
	bed_mentions("providers: {groq: {keys: [{name: a, value: x, models: []}]}}\n",
		     "x.yaml:1:55: error: an empty list of models denies all of them in version 2");
	bed_accepts("version: 1\nproviders: {groq: {keys: [{name: a, value: x, models: []}]}}\n");
	bed_accepts("providers: {groq: {keys: [{name: a, value: x, models: ['*'], "
		    "blacklisted_models: []}]}}\n");
	bed_mentions("version: 3\n" MOCK, "version: must be from 1 to 2, not \"3\"");
}

static void retention_by_either_name(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, "client: {log_retention_days: 30}\n" MOCK), "");
	assert_int_equal(b.config.logs_store.retention_days, 30);
	bed_done(&b);
	assert_string_equal(
	    bed_load(&b,
		     "client: {log_retention_days: 30}\nlogs_store: {retention_days: 30}\n" MOCK),
	    "");
	bed_done(&b);
	bed_says("client: {log_retention_days: 30}\nlogs_store: {retention_days: 31}\n" MOCK,
		 "x.yaml:1:30: error: client.log_retention_days contradicts "
		 "logs_store.retention_days: remove the former\n");
	bed_mentions("logs_store: {retention_days: 0}\n" MOCK, "must be from 1 to 36500");
}

static void logging_needs_a_store(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, "logs_store: {enabled: false}\n" MOCK), "");
	assert_false(b.config.client.enable_logging);
	bed_done(&b);
	bed_mentions("client: {enable_logging: true}\nlogs_store: {enabled: false}\n" MOCK,
		     "x.yaml:1:26: error: client.enable_logging: needs logs_store.enabled: true");
	bed_mentions("logs_store: {config: {path: config.db}}\n" MOCK,
		     "are the same file: give each its own");
	bed_accepts(
	    "logs_store: {config: {path: config.db}}\nconfig_store: {enabled: false}\n" MOCK);
}

static void values_that_must_fit_each_other(void **state)
{
	struct bf_buf yaml;

	(void)state;
	bed_mentions("server: {body_memory: 50MB}\n" MOCK,
		     "x.yaml:1:23: error: client.max_request_body_size_mb (100MiB) is above "
		     "server.body_memory (50MiB)");
	bed_mentions("client: {max_request_body_size_mb: 500}\n" MOCK,
		     "x.yaml:1:36: error: client.max_request_body_size_mb");
	bf_buf_init(&yaml, 1 << 16);
	assert_int_equal(bf_buf_printf(&yaml, "supervisor: {workers: 32}\nserver:\n  listen:\n"),
			 0);
	for (int i = 1; i <= 17; i++)
		assert_int_equal(bf_buf_printf(&yaml, "    - ':%d'\n", i), 0);
	assert_int_equal(bf_buf_append(&yaml, MOCK, sizeof(MOCK)), 0);
	bed_says(yaml.data, "x.yaml:4:5: error: server.listen: 17 addresses for 32 workers make "
			    "more than 512 sockets: listen on "
			    "fewer, or set fewer supervisor.workers\n");
	bf_buf_done(&yaml);
}

/* Called without a file behind it, it must not need positions. */
static void works_without_nodes(void **state)
{
	struct bf_arena arena;
	struct bf_config config;
	struct bf_diags diags;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	assert_int_equal(bf_table_defaults(&bf_config_table, &config, &arena), 0);
	bf_diags_init(&diags, BF_SLICE_LIT("none"), &arena);
	bf_config_complete(&config, NULL, &arena, &diags);
	assert_int_equal(diags.error_count, 1);
	bf_diags_finish(&diags);
	assert_int_equal(((struct bf_diag *)diags.list.items)->line, 0);
	bf_arena_done(&arena);
}

/* Only "*" stands for more than itself. */
static void models_are_no_patterns(void **state)
{
	(void)state;
	bed_mentions(
	    "providers: {groq: {keys: [{name: a, value: x, models: [m, 'only3*']}]}}\n",
	    "keys[0].models[1]: \"only3*\" is a pattern, and only whole names are matched: "
	    "name each model, or \"*\" for all");
	bed_mentions("providers: {groq: {keys: [{name: a, value: x, models: [m, ' ']}]}}\n",
		     "keys[0].models[1]: is empty: name a model, or \"*\" for all");
	bed_mentions("providers: {groq: {keys: [{name: a, value: x}, {name: b, value: y, "
		     "enabled: false, blacklisted_models: ['**']}]}}\n",
		     "keys[1].blacklisted_models[0]: \"**\" is a pattern");
	bed_accepts("providers: {groq: {keys: [{name: a, value: x, models: ['*'], "
		    "blacklisted_models: ['*', m]}]}}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(listen_addresses),
	    cmocka_unit_test(a_provider_that_is_too_large),
	    cmocka_unit_test(an_entry_that_is_too_large),
	    cmocka_unit_test(at_least_one_provider),
	    cmocka_unit_test(provider_needs),
	    cmocka_unit_test(limits_below_the_workers),
	    cmocka_unit_test(urls),
	    cmocka_unit_test(names_of_providers),
	    cmocka_unit_test(key_names_and_ids_are_unique),
	    cmocka_unit_test(empty_models_are_ambiguous),
	    cmocka_unit_test(models_are_no_patterns),
	    cmocka_unit_test(retention_by_either_name),
	    cmocka_unit_test(logging_needs_a_store),
	    cmocka_unit_test(values_that_must_fit_each_other),
	    cmocka_unit_test(works_without_nodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
