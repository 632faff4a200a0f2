/* Texts with a form of their own: header names, origins, addresses, PEM; and values that must fit
 * each other. Every refusal names its line and column. */
#include "load_bed.h"

#include "common/schema/config_priv.h"

#define CERT "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----"
#define KEY           \
	"-----BEGIN " \
	"PRIVATE KEY-----\\nAA==\\n-----END PRIVATE KEY-----"

static const struct bf_conf_provider *first(const struct load_bed *b)
{
	return b->config.providers.items;
}

static const char *text_at(const struct bf_array *list, uint32_t i)
{
	assert_true(i < list->count);
	return ((const struct bf_slice *)list->items)[i].ptr;
}

static void header_names(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(
	    bed_load(&b,
		     "client: {required_headers: [X-Team, x_y.z], allowed_headers: X-One,\n"
		     "  header_filter_config: {allowlist: [X-A], denylist: [COOKIE, x-b]}}\n" MOCK),
	    "");
	assert_string_equal(text_at(&b.config.client.required_headers, 0), "x-team");
	assert_string_equal(text_at(&b.config.client.required_headers, 1), "x_y.z");
	assert_string_equal(text_at(&b.config.client.allowed_headers, 0), "x-one");
	assert_string_equal(text_at(&b.config.client.header_filter_config.allowlist, 0), "x-a");
	assert_string_equal(text_at(&b.config.client.header_filter_config.denylist, 0), "cookie");
	bed_done(&b);
	bed_says(
	    "client:\n  required_headers: ['x team', '', \"x:y\"]\n  header_filter_config:\n"
	    "    denylist: [\"x\\r\\ny\", caf\xc3\xa9]\n" MOCK,
	    "x.yaml:2:22: error: client.required_headers[0]: must be the name of a header: "
	    "letters, digits and '-'\n"
	    "x.yaml:2:32: error: client.required_headers[1]: is empty: give the name of a header\n"
	    "x.yaml:2:36: error: client.required_headers[2]: must be the name of a header: "
	    "letters, digits and '-'\n"
	    "x.yaml:4:16: error: client.header_filter_config.denylist[0]: must be the name of a "
	    "header: letters, digits and '-'\n"
	    "x.yaml:4:26: error: client.header_filter_config.denylist[1]: must be the name of a "
	    "header: letters, digits and '-'\n");
}

static void origins(void **state)
{
	static const struct {
		const char *text, *settled; /* NULL: refused */
	} cases[] = {
	    {"*", "*"},
	    {"https://App.Example", "https://app.example"},
	    {"https://a.example:443", "https://a.example"},
	    {"http://a.example:80", "http://a.example"},
	    {"http://a.example:443", "http://a.example:443"},
	    {"http://[::1]:3000", "http://[::1]:3000"},
	    {"chrome-extension://abc", "chrome-extension://abc"},
	    {"https://a.example/", NULL},
	    {"https://a.example/x", NULL},
	    {"a.example", NULL},
	    {"https://", NULL},
	    {"://x", NULL},
	    {"https://*.example", NULL},
	    {"https://a.example:", NULL},
	    {"https://a.example:0", NULL},
	    {"https://a.example:65536", NULL},
	    {"https://u@a.example", NULL},
	    {"https://[::1", NULL},
	    {"null", NULL},
	    {"", NULL},
	    {"https://a b", NULL},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct load_bed b;
		char yaml[200];

		(void)snprintf(yaml, sizeof(yaml), "client: {allowed_origins: ['%s']}\n" MOCK,
			       cases[i].text);
		const char *said = bed_load(&b, yaml);
		if (cases[i].settled) {
			assert_string_equal(said, "");
			assert_string_equal(text_at(&b.config.client.allowed_origins, 0),
					    cases[i].settled);
		} else if (!strstr(said, "x.yaml:1:28: error: client.allowed_origins[0]: must be "
					 "\"*\" or an origin")) {
			fail_msg("%s: %s", cases[i].text, said);
		}
		bed_done(&b);
	}
}

static void extra_headers(void **state)
{
	struct load_bed b;
	const struct bf_conf_pair *pairs;

	(void)state;
	assert_string_equal(
	    bed_load(&b, "providers: {ollama: {network_config: {extra_headers: {X-One: a, "
			 "Authorization: env.KEY, x-three: file.secret, x-four: ''}}}}\n"),
	    "");
	pairs = first(&b)->network_config.extra_headers.items;
	assert_int_equal(first(&b)->network_config.extra_headers.count, 4);
	assert_string_equal(pairs[0].name.ptr, "x-one");
	assert_string_equal(pairs[0].value.ptr, "a");
	assert_string_equal(pairs[1].name.ptr, "authorization");
	assert_string_equal(pairs[1].value.ptr, "hunter2");
	assert_string_equal(pairs[2].value.ptr, "hunter3");
	assert_int_equal(pairs[3].value.len, 0);
	bed_done(&b);
#define HEAD "providers:\n  ollama:\n    network_config:\n      extra_headers:\n"
#define AT   "providers.ollama.network_config.extra_headers"
	bed_says(HEAD "        X-A: 1\n        x-b: [x]\n        x-c: env.NONE\n"
		      "        'x d': x\n        X-E: a\n        x-e: b\n        x-f: \"a\\nb\"\n",
		 "x.yaml:5:14: error: " AT ".X-A: must be a string, not a number: put it in "
		 "quotes\n"
		 "x.yaml:6:14: error: " AT ".x-b: must be a string, not a list\n"
		 "x.yaml:7:14: error: " AT ".x-c: environment variable NONE is not set: set it "
		 "before the start, or write the value\n"
		 "x.yaml:8:9: error: " AT ".x d: its name must be the name of a header: letters, "
		 "digits and '-'\n"
		 "x.yaml:10:9: error: " AT ".x-e: stands there twice: remove one\n"
		 "x.yaml:11:14: error: " AT ".x-f: must be one line of text\n");
	bed_says("providers: {ollama: {network_config: {extra_headers: [x]}}}\n",
		 "x.yaml:1:54: error: " AT ": must be a mapping of names to strings, not a list\n");
	bed_says("providers: {groq: {keys: [{name: a, value: x}], network_config: {extra_headers: "
		 "{authorization: x}}}}\n",
		 "x.yaml:1:82: error: providers.groq.network_config.extra_headers.authorization: "
		 "the provider's keys go there: remove it, or the keys\n");
}

static void headers_of_the_gateway_are_refused_by_name(void **state)
{
	static const char *const names[] = {"Host",
					    "content-length",
					    "Transfer-Encoding",
					    "connection",
					    "keep-alive",
					    "Content-Type",
					    "proxy-connection",
					    "te",
					    "trailer",
					    "upgrade",
					    "expect",
					    "accept-encoding",
					    "Content-Encoding",
					    "proxy-authorization",
					    "Cookie",
					    "accept",
					    "TraceParent",
					    "tracestate"};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++) {
		char yaml[200], line[300];

		(void)snprintf(yaml, sizeof(yaml),
			       "providers: {ollama: {network_config: {extra_headers: {%s: x}}}}\n",
			       names[i]);
		(void)snprintf(
		    line, sizeof(line),
		    "x.yaml:1:55: error: " AT
		    ".%s: its name is a header that the gateway decides on itself: remove "
		    "it\n",
		    names[i]);
		bed_says(yaml, line);
		assert_true(bf_header_is_reserved(bf_slice_from(names[i])));
	}
	assert_false(bf_header_is_reserved(BF_SLICE_LIT("hos")));
	assert_false(bf_header_is_reserved(BF_SLICE_LIT("hostx")));
	assert_false(bf_header_is_reserved(BF_SLICE_LIT("")));
}

static void wildcards_only_where_they_mean_something(void **state)
{
	(void)state;
	bed_accepts("client: {allowed_headers: ['*']}\n" MOCK);
	bed_says(
	    "client: {header_filter_config: {denylist: ['*', x-a],\n allowlist: ['x-*']}, "
	    "required_headers: ['*']}\n" MOCK,
	    "x.yaml:1:44: error: client.header_filter_config.denylist[0]: must be the name of "
	    "one header: wildcards mean nothing here\n"
	    "x.yaml:2:14: error: client.header_filter_config.allowlist[0]: must be the name of "
	    "one header: wildcards mean nothing here\n"
	    "x.yaml:2:42: error: client.required_headers[0]: must be the name of one header: "
	    "wildcards mean nothing here\n");
}

static void too_many_and_too_long_headers(void **state)
{
	struct bf_buf yaml;

	(void)state;
	bf_buf_init(&yaml, 1 << 20);
	assert_int_equal(bf_buf_printf(&yaml, HEAD), 0);
	for (int i = 0; i < 65; i++)
		assert_int_equal(bf_buf_printf(&yaml, "        x-%d: a\n", i), 0);
	assert_int_equal(bf_buf_append(&yaml, "", 1), 0);
	bed_says(yaml.data, "x.yaml:5:9: error: " AT ": has 65 entries: at most 64 are allowed\n");
	bf_buf_clear(&yaml);
	assert_int_equal(bf_buf_printf(&yaml, HEAD "        x: %8193d\n", 0), 0);
	assert_int_equal(bf_buf_append(&yaml, "", 1), 0);
	bed_mentions(yaml.data, AT ".x: ");
	bf_buf_done(&yaml);
}

/* Ways to name the same PEM text. */
static int read_pem(void *ctx, const char *path, struct bf_arena *arena, struct bf_slice *ret_text)
{
	(void)ctx;
	if (strcmp(path, "/tls/key.pem") == 0)
		*ret_text = bf_arena_dup(arena, BF_SLICE_LIT("-----BEGIN "
							     "EC PRIVATE KEY-----\n"));
	else if (strcmp(path, "/tls/chain.pem") == 0)
		*ret_text = bf_arena_dup(arena, BF_SLICE_LIT("-----BEGIN CERTIFICATE-----\n"));
	else
		return -ENOENT;
	return ret_text->ptr ? 0 : -ENOMEM;
}

static void tls_is_named_in_any_way(void **state)
{
	static const char *const forms[] = {
	    "{cert: /tls/chain.pem, key: /tls/key.pem}",
	    "{cert: file./tls/chain.pem, key: file./tls/key.pem}",
	    "{cert: \"" CERT "\", key: \"" KEY "\"}",
	    "{cert: 'file./tls/chain.pem', key: \"" KEY "\"}",
	};
	static const struct bf_config_env env = {bed_get_env, read_pem, NULL};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(forms); i++) {
		struct bf_arena arena;
		struct bf_config config;
		struct bf_diags diags;
		char yaml[400];

		(void)snprintf(yaml, sizeof(yaml), "server: {tls: %s}\n" MOCK, forms[i]);
		bf_arena_init(&arena, 1 << 20);
		if (bf_config_load(BF_SLICE_LIT("x.yaml"), bf_slice_from(yaml), &env, &arena,
				   &config, &diags) < 0)
			fail_msg("%s: %s", yaml, ((struct bf_diag *)diags.list.items)->text.ptr);
		assert_true(bf_slice_starts(config.server.tls.cert, BF_SLICE_LIT("-----BEGIN C")));
		assert_non_null(strstr(config.server.tls.key.ptr, "PRIVATE KEY"));
		bf_arena_done(&arena);
	}
	bed_accepts("server: {tls: {}}\n" MOCK);
}

static void tls_is_both_or_none(void **state)
{
	(void)state;
	bed_says("server:\n  tls: {cert: \"" CERT "\"}\n" MOCK,
		 "x.yaml:2:3: error: server.tls: \"key\" is missing: TLS needs both cert and key, "
		 "plain HTTP neither\n");
	bed_says("server:\n  tls: {key: \"" KEY "\"}\n" MOCK,
		 "x.yaml:2:3: error: server.tls: \"cert\" is missing: TLS needs both cert and key, "
		 "plain HTTP neither\n");
	/* Swapped, no PEM, a passphrase, no such file: never shown, always placed. */
	bed_says(
	    "server:\n  tls: {cert: \"" KEY "\",\n    key: \"" CERT "\"}\n" MOCK,
	    "x.yaml:2:15: error: server.tls.cert: holds no certificate in PEM form (-----BEGIN "
	    "CERTIFICATE-----): give the path of the file or its text\n"
	    "x.yaml:3:10: error: server.tls.key: holds no private key in PEM form (-----BEGIN ... "
	    "KEY-----): give the path of the file or its text\n");
	bed_says(
	    "server:\n  tls: {cert: chain.pem, key: env.KEY}\n" MOCK,
	    "x.yaml:2:15: error: server.tls.cert: holds no certificate in PEM form (-----BEGIN "
	    "CERTIFICATE-----): give the path of the file or its text\n"
	    "x.yaml:2:31: error: server.tls.key: holds no private key in PEM form (-----BEGIN ... "
	    "KEY-----): give the path of the file or its text\n");
	bed_mentions(
	    "server: {tls: {cert: '', key: \"-----BEGIN ENCRYPTED PRIVATE KEY-----\"}}\n" MOCK,
	    "x.yaml:1:31: error: server.tls.key: needs a passphrase");
	bed_mentions("server: {tls: {cert: '', key: \"" KEY "\"}}\n" MOCK,
		     "x.yaml:1:22: error: server.tls.cert: holds no certificate");
	bed_mentions("server: {tls: {cert: /tls/none.pem, key: \"" KEY "\"}}\n" MOCK,
		     "x.yaml:1:22: error: server.tls.cert: cannot read the file \"/tls/none.pem\"");
	/* A path is one only where a file is meant. */
	bed_accepts("providers: {mock: {mock_config: {reply: /tls/none.pem}}}\n");
}

static void servers_of_keys(void **state)
{
	struct load_bed b;
	const struct bf_conf_provider *p;

	(void)state;
	assert_string_equal(
	    bed_load(
		&b, "providers:\n"
		    "  ollama: {keys: [{name: a, ollama_key_config: {url: 'http://10.0.0.1:1'}}]}\n"
		    "  sgl: {keys: [{name: b, sgl_key_config: {url: 'http://localhost'}}]}\n"
		    "  vllm: {keys: [{name: c, vllm_key_config: {url: 'https://g.example/v1', "
		    "model_name: m}}, {name: d}]}\n"
		    "  groq: {keys: [{name: e, value: x}]}\n"),
	    "");
	p = first(&b);
	assert_string_equal(bf_conf_key_server(&p[0], p[0].keys.items)->url.ptr,
			    "http://10.0.0.1:1");
	assert_string_equal(bf_conf_key_server(&p[1], p[1].keys.items)->url.ptr,
			    "http://localhost");
	assert_string_equal(bf_conf_key_server(&p[2], p[2].keys.items)->model_name.ptr, "m");
	assert_int_equal(
	    bf_conf_key_server(&p[2], (struct bf_conf_provider_key *)p[2].keys.items + 1)->url.len,
	    0);
	assert_int_equal(bf_conf_key_server(&p[3], p[3].keys.items)->url.len, 0);
	bed_done(&b);
	bed_says(
	    "providers:\n  groq:\n    keys:\n      - {name: a, value: x, vllm_key_config: {url: "
	    "'http://localhost'}}\n",
	    "x.yaml:4:29: error: providers.groq.keys[0].vllm_key_config: is for the provider "
	    "\"vllm\" only: give network_config.base_url instead\n");
	bed_mentions("providers: {own: {network_config: {base_url: 'http://localhost'}, keys: "
		     "[{name: a, ollama_key_config: {url: 'http://localhost'}}]}}\n",
		     "is for the provider \"ollama\" only");
	bed_says("providers: {vllm: {keys: [{name: a, vllm_key_config: {model_name: m}}]}}\n",
		 "x.yaml:1:37: error: providers.vllm.keys[0].vllm_key_config: \"url\" is missing: "
		 "add it\n");
	bed_says("providers: {sgl: {keys: [{name: a, sgl_key_config: {url: 'gpu:1'}}]}}\n",
		 "x.yaml:1:58: error: providers.sgl.keys[0].sgl_key_config.url: must be "
		 "http://HOST[:PORT][/PATH] or https://..., without user and password, query "
		 "and other signs\n");
	bed_mentions("providers: {sgl: {keys: [{name: a, sgl_key_config: {url: "
		     "'http://localhost', model_name: m}}]}}\n",
		     "unknown key \"model_name\"");
	bed_says("providers: {vllm: {keys: [{name: a, value: s, vllm_key_config: {url: "
		 "'http://g.example'}}]}}\n",
		 "x.yaml:1:70: warning: providers.vllm: keys and prompts go unencrypted over "
		 "http://: use https://\n");
}

static void custom_providers(void **state)
{
	struct load_bed b;

	(void)state;
#define OWN(rest) "providers: {own: {network_config: {base_url: 'https://o.example'}, " rest "}}\n"
	assert_string_equal(
	    bed_load(&b, OWN("custom_provider_config: {base_provider_type: openai, "
			     "is_key_less: true, does_not_send_done_marker: true}")),
	    "");
	assert_true(first(&b)->custom_provider_config.is_key_less);
	assert_true(first(&b)->custom_provider_config.does_not_send_done_marker);
	bed_done(&b);
	bed_mentions(OWN("custom_provider_config: {is_key_less: false}"), "needs at least one key");
	bed_accepts(OWN("custom_provider_config: {is_key_less: true}, keys: [{name: a}]"));
	bed_mentions(
	    OWN("custom_provider_config: {is_key_less: true}, keys: [{name: a, value: x}]"),
	    "keys[0].value would never be sent");
	bed_says(OWN("custom_provider_config: {base_provider_type: gemini, is_key_less: true}"),
		 "x.yaml:1:113: error: providers.own.custom_provider_config.base_provider_type: "
		 "gemini is not part of this build: use openai\n");
	bed_mentions(OWN("custom_provider_config: {base_provider_type: opnai}"),
		     "must be openai, not \"opnai\": did you mean \"openai\"?");
	bed_mentions("providers: {mock: {custom_provider_config: {is_key_less: true}}}\n",
		     "has no effect on the provider \"mock\"");
}

static void times_fit_each_other(void **state)
{
	static const struct {
		const char *given, *said;
		int64_t connect, request, total, initial, longest;
	} cases[] = {
	    {"", "", 10000, 30000, 3600000, 500, 5000},
	    /* What was not given gives way. */
	    {"total_timeout_in_seconds: 5", "", 5000, 5000, 5000, 500, 5000},
	    {"default_request_timeout_in_seconds: 7200", "", 10000, 7200000, 7200000, 500, 5000},
	    {"first_byte_timeout_in_seconds: 2h", "", 10000, 30000, 7200000, 500, 5000},
	    {"retry_backoff_initial: 8000", "", 10000, 30000, 3600000, 8000, 8000},
	    {"retry_backoff_max: 100ms", "", 10000, 30000, 3600000, 100, 100},
	    /* What was given does not. */
	    {"connect_timeout_in_seconds: 6, total_timeout_in_seconds: 5",
	     "x.yaml:1:65: error: providers.mock.network_config: connect_timeout_in_seconds (6s) "
	     "is "
	     "above total_timeout_in_seconds (5s): lower the one or raise the other\n",
	     0, 0, 0, 0, 0},
	    {"default_request_timeout_in_seconds: 6, total_timeout_in_seconds: 5",
	     "x.yaml:1:73: error: providers.mock.network_config: "
	     "default_request_timeout_in_seconds (6s) is above total_timeout_in_seconds (5s): "
	     "lower the one or raise the other\n",
	     0, 0, 0, 0, 0},
	    {"retry_backoff_initial: 2s, retry_backoff_max: 1000",
	     "x.yaml:1:60: error: providers.mock.network_config: retry_backoff_initial (2s) is "
	     "above retry_backoff_max (1s): lower the one or raise the other\n",
	     0, 0, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct load_bed b;
		char yaml[300];

		(void)snprintf(yaml, sizeof(yaml), "providers: {mock: {network_config: {%s}}}\n",
			       cases[i].given);
		assert_string_equal(bed_load(&b, yaml), cases[i].said);
		if (b.result == 0) {
			const struct bf_conf_network *n = &first(&b)->network_config;

			assert_int_equal(n->connect_timeout_ms, cases[i].connect);
			assert_int_equal(n->request_timeout_ms, cases[i].request);
			assert_int_equal(n->total_timeout_ms, cases[i].total);
			assert_int_equal(n->retry_backoff_initial_ms, cases[i].initial);
			assert_int_equal(n->retry_backoff_max_ms, cases[i].longest);
		}
		bed_done(&b);
	}
}

static void bounds(void **state)
{
	static const struct {
		const char *given, *said;
	} cases[] = {
	    {"network_config: {max_retries: 101}", "max_retries: must be from 0 to 100"},
	    {"network_config: {max_retries: -1}", "max_retries: must be from 0 to 100"},
	    {"network_config: {max_retries: two}", "max_retries: must be a whole number"},
	    {"network_config: {max_conns_per_host: 0}", "must be from 1 to 10000"},
	    {"network_config: {max_conns_per_host: 10001}", "must be from 1 to 10000"},
	    {"network_config: {retry_backoff_initial: 2h}", "must be from 0s to 1h"},
	    {"network_config: {retry_backoff_max: soon}", "must be a duration"},
	    {"network_config: {connect_timeout_in_seconds: 1ms}", "must be from 10ms to 1h"},
	    {"network_config: {total_timeout_in_seconds: 0}", "must be from 100ms to 1d"},
	    {"network_config: {first_byte_timeout_in_seconds: 2d}", "must be from 0s to 1d"},
	    {"network_config: {insecure_skip_verify: 1}", "must be true or false"},
	    {"concurrency_and_buffer_size: {concurrency: 0}", "must be from 1 to 100000"},
	    {"concurrency_and_buffer_size: {buffer_size: 100001}", "must be from 0 to 100000"},
	    {"concurrency_and_buffer_size: 5", "must be a mapping, not a number"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		char yaml[200];

		(void)snprintf(yaml, sizeof(yaml), "providers: {mock: {%s}}\n", cases[i].given);
		bed_mentions(yaml, cases[i].said);
	}
	bed_mentions("server: {heartbeat_interval: 2h}\n" MOCK, "must be from 0s to 1h");
	bed_mentions("server: {early_heartbeat_after: 5}\n" MOCK,
		     "must be a duration with its unit");
	bed_accepts("server: {heartbeat_interval: 0s, early_heartbeat_after: 0}\n" MOCK);
	bed_says("providers: {mock: {network_config: {insecure_skip_verify: true}}}\n",
		 "x.yaml:1:59: warning: providers.mock: its certificate is not checked: whoever "
		 "sits on the way can read keys and prompts; ca_cert_pem is the safe way\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(header_names),
	    cmocka_unit_test(origins),
	    cmocka_unit_test(extra_headers),
	    cmocka_unit_test(headers_of_the_gateway_are_refused_by_name),
	    cmocka_unit_test(wildcards_only_where_they_mean_something),
	    cmocka_unit_test(too_many_and_too_long_headers),
	    cmocka_unit_test(tls_is_named_in_any_way),
	    cmocka_unit_test(tls_is_both_or_none),
	    cmocka_unit_test(servers_of_keys),
	    cmocka_unit_test(custom_providers),
	    cmocka_unit_test(times_fit_each_other),
	    cmocka_unit_test(bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
