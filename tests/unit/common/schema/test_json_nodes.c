/* JSON files load as JSON: escapes, tabs, surrogates, duplicate keys, positions; slips fall back to
 * YAML unless named .json. */
#include "load_bed.h"

#include "common/schema/node.h"

static const struct bf_conf_provider *provider(const struct load_bed *b, uint32_t i)
{
	assert_true(i < b->config.providers.count);
	return (const struct bf_conf_provider *)b->config.providers.items + i;
}

static void what_yaml_cannot_read(void **state)
{
	static const char json[] = "\t{\t\"providers\"\n:{\"mock\":{\"mock_config\":{\"reply\":"
				   "\"\\ud83d\\ude00 a\\/b\\t\\u0041\"}}},\r\n"
				   "\t\"version\":2}\n";
	struct load_bed b;

	(void)state;
	assert_string_equal(bed_load(&b, json), "");
	assert_string_equal(provider(&b, 0)->mock_config.reply.ptr, "\xf0\x9f\x98\x80 a/b\tA");
	bed_done(&b);
	bed_load_bytes(&b, "config.json", json, sizeof(json) - 1);
	assert_int_equal(b.result, 0);
	bed_done(&b);
}

static void numbers_are_no_strings(void **state)
{
	(void)state;
	bed_says(
	    "{\"providers\": {\"mock\": {\"mock_config\": {\"reply\": 5, \"latency\": \"10ms\"}}}}",
	    "x.yaml:1:50: error: providers.mock.mock_config.reply: must be a string, not a number: "
	    "put it in quotes\n");
	bed_says("{\"providers\": {\"mock\": {}}, \"version\": \"2\"}",
		 "x.yaml:1:40: error: version: must be a whole number, not \"2\" in quotes\n");
	bed_says("{\"providers\": {\"mock\": {}}, \"client\": {\"enable_logging\": 1}}",
		 "x.yaml:1:58: error: client.enable_logging: must be true or false, not \"1\"\n");
}

static void null_means_not_given(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(
	    bed_load(&b, "{\"providers\": {\"mock\": null}, \"server\": {\"listen\": null}, "
			 "\"client\": null, \"governance\": null, \"vector_store\": null}"),
	    "");
	assert_int_equal(b.config.server.listen.count, 1);
	bed_done(&b);
	bed_mentions(
	    "{\"providers\": {\"groq\": {\"keys\": [{\"name\": null, \"value\": \"x\"}]}}}",
	    "providers.groq.keys[0]: \"name\" is missing: add it");
}

static void slips_fall_back_to_yaml(void **state)
{
	static const char loose[] = "{\n  # comment\n  \"providers\": {mock: {},},\n}\n";
	struct load_bed b;

	(void)state;
	bed_accepts(loose);
	bed_load_bytes(&b, "conf/config.json", loose, sizeof(loose) - 1);
	assert_int_equal(b.diags.error_count, 1);
	assert_non_null(strstr(b.text.data, "conf/config.json:2:3: error: not JSON: "));
	bed_done(&b);
	bed_load_bytes(&b, "config.json", "", 0);
	assert_non_null(strstr(b.text.data, "error: not JSON: "));
	bed_done(&b);
}

static void every_cut_has_a_diagnostic(void **state)
{
	static const char json[] =
	    "{\"providers\":{\"mock\":{\"mock_config\":{\"reply\":\"\\u00e4\xc3\xa4\",\"latency\":"
	    "\"5ms\"}}},"
	    "\"server\":{\"listen\":[\"127.0.0.1:8080\"],\"max_connections\":10},\"version\":1}";

	(void)state;
	for (size_t cut = 0; cut < sizeof(json) - 1; cut++) {
		char *copy = malloc(cut ? cut : 1);
		struct load_bed b;

		memcpy(copy, json, cut);
		bed_load_bytes(&b, cut % 2 ? "x.yaml" : "x.json", copy, cut);
		assert_int_not_equal(b.result, 0);
		assert_true(b.diags.error_count > 0);
		bed_done(&b);
		free(copy);
	}
}

static void positions_count_characters(void **state)
{
	struct bf_arena arena;
	struct bf_diags diags = {.arena = &arena};
	struct bf_tree tree;
	struct bf_err err;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	bf_tree_init(&tree, &arena, &diags);
	assert_int_equal(
	    bf_json_read(BF_SLICE_LIT("{\"\xc3\xa4\": [1,\n  {\"b\": \"c\"}], \"d\": null}"), &tree,
			 &err),
	    0);
	assert_int_equal(tree.root->count, 2);
	const struct bf_node *list = tree.root->first;
	assert_int_equal(list->type, BF_NODE_LIST);
	assert_int_equal(list->pos.col, 7);
	const struct bf_node *inner = list->first->next;
	assert_int_equal(inner->pos.line, 2);
	assert_int_equal(inner->pos.col, 3);
	assert_int_equal(inner->first->key_pos.col, 4);
	assert_int_equal(inner->first->pos.col, 9);
	const struct bf_node *d = bf_node_member(tree.root, "d");
	assert_non_null(d);
	assert_true(bf_node_is_null(d));
	assert_null(bf_node_member(d, "x"));
	assert_null(bf_node_member(NULL, "x"));
	assert_int_equal(bf_json_read(BF_SLICE_LIT("{"), &tree, &err), BF_E_SYNTAX);
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_yaml_cannot_read),
	    cmocka_unit_test(numbers_are_no_strings),
	    cmocka_unit_test(null_means_not_given),
	    cmocka_unit_test(slips_fall_back_to_yaml),
	    cmocka_unit_test(every_cut_has_a_diagnostic),
	    cmocka_unit_test(positions_count_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
