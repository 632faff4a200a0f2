/* A config.json as Bifrost's users have it loads as it is, and arrives where it is used. */
#include "load_bed.h"

#include "common/codec/json_writer.h"

static struct load_bed *bed;

static int load_sample(void **state)
{
	static char text[1 << 16];
	FILE *f = fopen(BF_SAMPLES_DIR "/config.json", "rb");

	(void)state;
	assert_non_null(f);
	size_t len = fread(text, 1, sizeof(text), f);
	(void)fclose(f);
	bed = calloc(1, sizeof(*bed));
	bed_load_bytes(bed, "config.json", text, len);
	assert_string_equal(bed->text.data, "");
	return 0;
}

static int drop_sample(void **state)
{
	(void)state;
	bed_done(bed);
	free(bed);
	return 0;
}

static const struct bf_conf_provider *provider(const struct bf_config *c, const char *name)
{
	const struct bf_conf_provider *p = c->providers.items;

	for (uint32_t i = 0; i < c->providers.count; i++)
		if (bf_slice_is(p[i].name, name))
			return &p[i];
	fail_msg("no provider %s", name);
	return NULL;
}

static const char *at(const struct bf_array *list, uint32_t i)
{
	assert_true(i < list->count);
	return ((const struct bf_slice *)list->items)[i].ptr;
}

static void check_client(const struct bf_config *c)
{
	assert_true(c->client.drop_excess_requests);
	assert_int_equal(c->client.max_request_body_size_bytes, 50 << 20);
	assert_string_equal(at(&c->client.allowed_origins, 0), "https://app.example");
	assert_string_equal(at(&c->client.allowed_origins, 1), "http://127.0.0.1:3000");
	assert_string_equal(at(&c->client.allowed_headers, 0), "x-team");
	assert_string_equal(at(&c->client.required_headers, 0), "x-tenant");
	assert_string_equal(at(&c->client.header_filter_config.allowlist, 1), "x-experiment");
	assert_string_equal(at(&c->client.header_filter_config.denylist, 0), "cookie");
}

static void check_openai(const struct bf_config *c)
{
	const struct bf_conf_provider *p = provider(c, "openai");
	const struct bf_conf_network *n = &p->network_config;
	const struct bf_conf_provider_key *keys = p->keys.items;
	const struct bf_conf_pair *extra = n->extra_headers.items;

	assert_int_equal(p->keys.count, 2);
	assert_string_equal(keys[0].value.ptr, "hunter2");
	assert_int_equal(keys[1].weight_micro, 300000);
	assert_string_equal(at(&keys[1].blacklisted_models, 0), "gpt-4o");
	assert_int_equal(n->extra_headers.count, 2);
	assert_string_equal(extra[0].name.ptr, "openai-organization");
	assert_string_equal(extra[1].value.ptr, "hunter2");
	assert_int_equal(n->request_timeout_ms, 60000);
	assert_int_equal(n->connect_timeout_ms, 10000);
	assert_int_equal(n->total_timeout_ms, 3600000);
	assert_int_equal(n->stream_idle_timeout_ms, 45000);
	assert_int_equal(n->max_retries, 3);
	assert_int_equal(n->retry_backoff_initial_ms, 250);
	assert_int_equal(n->retry_backoff_max_ms, 2000);
	assert_int_equal(n->max_conns_per_host, 200);
	assert_int_equal(p->concurrency_and_buffer_size.concurrency, 100);
	assert_int_equal(p->concurrency_and_buffer_size.buffer_size, 300);
}

static void check_servers(const struct bf_config *c)
{
	const struct bf_conf_provider *vllm = provider(c, "vllm");
	const struct bf_conf_provider *own = provider(c, "in-house");
	const struct bf_conf_provider_key *keys = vllm->keys.items;

	assert_string_equal(bf_conf_key_server(vllm, &keys[1])->url.ptr, "http://127.0.0.1:8001");
	assert_string_equal(bf_conf_key_server(vllm, &keys[0])->model_name.ptr,
			    "meta-llama/Llama-3.1-8B-Instruct");
	assert_int_equal(keys[0].value.len, 0);
	assert_true(own->custom_provider_config.is_key_less);
	assert_true(own->custom_provider_config.does_not_send_done_marker);
	assert_int_equal(own->custom_provider_config.base_provider_type, BF_BASE_PROVIDER_OPENAI);
	assert_int_equal(own->network_config.total_timeout_ms, 7200000);
	assert_int_equal(own->concurrency_and_buffer_size.concurrency, 1000);
}

static void it_loads_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(bed->config.unbuilt.count, 0);
	assert_int_equal(bed->config.logs_store.retention_days, 30);
	check_client(&bed->config);
	check_openai(&bed->config);
	check_servers(&bed->config);
}

/* What proxyd gets is all of it. */
static void the_slice_of_writerd_holds_it(void **state)
{
	struct bf_config own;
	struct bf_buf out;
	struct bf_err err;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	assert_int_equal(bf_table_encode_mp(&bf_config_table, &bed->config, BF_FOR_WRITERD, &out),
			 0);
	assert_int_equal(
	    bf_table_decode_mp(&bf_config_table, &own, bf_buf_slice(&out), &bed->arena, &err), 0);
	check_client(&own);
	check_openai(&own);
	check_servers(&own);
	bf_buf_done(&out);
}

static void no_secret_is_shown_or_given_to_others(void **state)
{
	static const uint16_t others[] = {BF_FOR_SUPERVISOR, BF_FOR_CLUSTERD, BF_FOR_DISCOVERYD,
					  BF_FOR_PROXYD};
	struct bf_json_writer w;
	struct bf_buf out;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	for (size_t i = 0; i < BF_ARRAY_LEN(others); i++)
		assert_int_equal(
		    bf_table_encode_mp(&bf_config_table, &bed->config, others[i], &out), 0);
	bf_jw_init(&w, &out);
	bf_table_write_json(&bf_config_table, &bed->config, &w);
	assert_int_equal(bf_jw_finish(&w), 0);
	assert_null(memmem(out.data, bf_buf_len(&out), "hunter2", 7));
	assert_null(memmem(out.data, bf_buf_len(&out), "sk-second", 9));
	assert_null(memmem(out.data, bf_buf_len(&out), "org-1", 5));
	assert_non_null(memmem(out.data, bf_buf_len(&out), "\"x-secret\":\"***\"", 16));
	bf_buf_done(&out);
}

/* The same keys under a name that is no .json, and a new certificate behind the same path. */
static int read_turn(void *ctx, const char *path, struct bf_arena *arena, struct bf_slice *ret_text)
{
	const char *text = strstr(path, "key") ? "-----BEGIN "
						 "PRIVATE KEY-----"
					       : ctx;

	*ret_text = bf_arena_dup(arena, bf_slice_from(text));
	return ret_text->ptr ? 0 : -ENOMEM;
}

static void load_turn(const char *certificate, struct bf_arena *arena, struct bf_config *ret_config,
		      struct bf_buf *ret_slice)
{
	static const char json[] = "{\"server\": {\"tls\": {\"cert\": \"/t/cert.pem\", \"key\": "
				   "\"file./t/key.pem\"}}, \"providers\": {\"mock\": {}}}";
	struct bf_config_env env = {bed_get_env, read_turn, (void *)(uintptr_t)certificate};
	struct bf_diags diags;

	assert_int_equal(
	    bf_config_load(BF_SLICE_LIT("x"), bf_slice_from(json), &env, arena, ret_config, &diags),
	    0);
	bf_buf_clear(ret_slice);
	assert_int_equal(bf_table_encode_mp(&bf_config_table, ret_config, BF_FOR_PROXYD, ret_slice),
			 0);
}

static void a_new_certificate_changes_the_slice_alone(void **state)
{
	struct bf_config a, b;
	struct bf_arena arena;
	struct bf_buf x, y, names;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	bf_buf_init(&x, 1 << 20);
	bf_buf_init(&y, 1 << 20);
	bf_buf_init(&names, 4096);
	load_turn("-----BEGIN CERTIFICATE-----\none", &arena, &a, &x);
	load_turn("-----BEGIN CERTIFICATE-----\ntwo", &arena, &b, &y);
	assert_true(bf_slice_eq(a.config_hash, b.config_hash));
	assert_false(bf_slice_eq(bf_buf_slice(&x), bf_buf_slice(&y)));
	assert_int_equal(bf_table_diff(&bf_config_table, &a, &b, 0, BF_RELOAD_START, &names), 0);
	assert_int_equal(bf_table_diff(&bf_config_table, &a, &b, 0, BF_RELOAD_ROLL, &names), 1);
	load_turn("-----BEGIN CERTIFICATE-----\none", &arena, &b, &y);
	assert_true(bf_slice_eq(bf_buf_slice(&x), bf_buf_slice(&y)));
	bf_buf_done(&x);
	bf_buf_done(&y);
	bf_buf_done(&names);
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_loads_as_it_is),
	    cmocka_unit_test(the_slice_of_writerd_holds_it),
	    cmocka_unit_test(no_secret_is_shown_or_given_to_others),
	    cmocka_unit_test(a_new_certificate_changes_the_slice_alone),
	};
	return cmocka_run_group_tests(tests, load_sample, drop_sample);
}
