/* What a file may look like at all: every malformed text has a line, a column and a cure; nothing
 * hangs or grows. */
#include "load_bed.h"

#include <time.h>

#include "common/schema/node.h"

static void malformed_yaml(void **state)
{
	(void)state;
	bed_says("server:\n\tlisten: x\n",
		 "x.yaml:2:1: error: not YAML: indented by a tab: use spaces\n");
	bed_mentions("a: [1,2", "error: not YAML: did not find expected ',' or ']'");
	bed_mentions(
	    "a: \"x",
	    "error: not YAML: found unexpected end of stream while scanning a quoted scalar");
	bed_mentions("server:\n  listen: a\n workers: 1\n", "x.yaml:3:2: error: not YAML:");
	bed_mentions("a: b: c\n",
		     "x.yaml:1:5: error: not YAML: mapping values are not allowed in this context");
	bed_mentions("a: x\x01y\n",
		     "x.yaml:1:5: error: not YAML: control characters are not allowed");
	bed_mentions("%YAML 3.0\n---\na: 1\n", "found incompatible YAML document");
	bed_mentions("@x\n", "x.yaml:1:1: error: not YAML:");
}

static void not_utf8(void **state)
{
	(void)state;
	bed_says("server: {}\nproviders: {\xc3\xa4\xe9: 1}\n",
		 "x.yaml:2:14: error: byte 0xe9 is not UTF-8: save the file with that encoding\n");
	bed_mentions("\xff\xfe"
		     "a",
		     "x.yaml:1:1: error: byte 0xff is not UTF-8");
	bed_mentions("a: \xed\xa0\x80", "is not UTF-8");
}

static void zero_bytes(void **state)
{
	struct load_bed b;

	(void)state;
	bed_load_bytes(&b, "x.yaml", "providers: {mock: {}}\n\0", 23);
	assert_int_equal(b.diags.error_count, 1);
	bed_done(&b);
	static const char escaped[] = "providers: {mock: {mock_config: {reply: \"a\\0b\"}}}\n";
	bed_mentions(escaped, "mock_config.reply: must not contain a zero byte");
	bed_mentions("providers: {\"mo\\0ck\": {}}\n", "its name must not contain a zero byte");
}

static void a_byte_order_mark_is_no_key(void **state)
{
	(void)state;
	bed_accepts("\xef\xbb\xbf" MOCK);
	bed_accepts("\xef\xbb\xbf{\"providers\": {\"mock\": {}}}");
}

static void empty_files_are_all_defaults(void **state)
{
	static const char *const texts[] = {"",        "\n",     "# nothing\n", "---\n",
					    "--- ~\n", "null\n", "{}",          "---\n...\n"};

	(void)state;
	/* Only what has no default is missed. */
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++)
		bed_says(texts[i], "x.yaml: error: providers: at least one provider is needed: add "
				   "\"providers: {mock: "
				   "{}}\" to try it out\n");
}

static void roots_that_are_no_mapping(void **state)
{
	(void)state;
	bed_mentions("just words\n",
		     "x.yaml:1:1: error: the file: must be a mapping, not a string\n");
	bed_mentions("- a\n- b\n", "x.yaml:1:1: error: the file: must be a mapping, not a list\n");
	bed_mentions("42\n", "x.yaml:1:1: error: the file: must be a mapping, not a number\n");
}

static void several_documents(void **state)
{
	(void)state;
	bed_says(MOCK "---\n" MOCK,
		 "x.yaml:2:1: error: a second document begins here: keep one per file\n");
	bed_mentions("--- 1\n--- 2\n", "x.yaml:2:1: error: a second document");
	bed_accepts("---\n" MOCK "...\n");
}

static void duplicate_keys(void **state)
{
	(void)state;
	bed_says("server: {}\n" MOCK "server: {}\n", "x.yaml:3:1: error: duplicate key \"server\": "
						     "it stands in line 1 already; remove one\n");
	bed_says(
	    "providers:\n  mock: {}\n  other: {network_config: {base_url: \"http://localhost\"}}\n "
	    " mock: {}\n  mock: {}\n",
	    "x.yaml:4:3: error: duplicate key \"mock\": it stands in line 2 already; remove one\n"
	    "x.yaml:5:3: error: duplicate key \"mock\": it stands in line 2 already; remove one\n");
	bed_says("{\"providers\": {\"mock\": {}},\n \"version\": 2, \"version\": 2}",
		 "x.yaml:2:16: error: duplicate key \"version\": it stands in line 2 already; "
		 "remove one\n");
	/* Also where nobody looks inside. */
	bed_mentions("cluster_config: {region: a, region: b}\n" MOCK, "duplicate key \"region\"");
}

static void keys_that_are_no_scalar(void **state)
{
	(void)state;
	bed_says("? [a, b]\n: {x: 1}\n" MOCK,
		 "x.yaml:1:3: error: a list cannot be a key: write one word or a quoted string\n");
	bed_says(
	    "? {a: 1}\n: [x]\n" MOCK,
	    "x.yaml:1:3: error: a mapping cannot be a key: write one word or a quoted string\n");
	bed_says("{[{x: y}]: 1, providers: {mock: {}}}",
		 "x.yaml:1:2: error: a list cannot be a key: write one word or a quoted string\n");
	bed_mentions("\"\": x\n" MOCK, "x.yaml:1:1: error: unknown key \"\"");
}

static void aliases_and_tags(void **state)
{
	(void)state;
	bed_says("server: &s {}\nclient: *s\n" MOCK,
		 "x.yaml:2:9: error: aliases (*s) are not supported: write the value out\n");
	bed_mentions("*k : 1\n" MOCK, "aliases (*k) are not supported");
	bed_mentions("server:\n  <<: *s\n" MOCK, "aliases (*s) are not supported");
	bed_says("version: !!int 2\n" MOCK, "x.yaml:1:10: error: the tag \"tag:yaml.org,2002:int\" "
					    "has no meaning here: remove it\n");
	bed_mentions("server: !x {}\n" MOCK, "the tag \"!x\" has no meaning here");
	bed_mentions("server: {listen: !x []}\n" MOCK, "the tag \"!x\" has no meaning here");
}

/* Nine levels of nine references each are 387 million values when written out. */
static void alias_bomb(void **state)
{
	char yaml[4096] = "a0: &a0 [x]\n";
	size_t used = strlen(yaml);
	struct load_bed b;

	(void)state;
	for (int i = 1; i < 10; i++) {
		used += (size_t)snprintf(yaml + used, sizeof(yaml) - used, "a%d: &a%d [", i, i);
		for (int k = 0; k < 9; k++)
			used += (size_t)snprintf(yaml + used, sizeof(yaml) - used, "%s*a%d",
						 k ? "," : "", i - 1);
		used += (size_t)snprintf(yaml + used, sizeof(yaml) - used, "]\n");
	}
	assert_non_null(strstr(bed_load(&b, yaml), "aliases (*a0) are not supported"));
	assert_true(b.arena.used_bytes < 1 << 20);
	bed_done(&b);
}

static void depth_bomb_in(const char *open, const char *name)
{
	size_t each = strlen(open), total = (size_t)1 << 20;
	char *bytes = malloc(total);
	struct load_bed b;

	for (size_t i = 0; i < total; i++)
		bytes[i] = open[i % each];
	bed_load_bytes(&b, name, bytes, total);
	/* A key that is a mapping is told on every level, until the depth is. */
	assert_int_equal(b.diags.error_count, open[0] == '?' ? BF_NODE_MAX_DEPTH : 1);
	if (strcmp(name, "x.yaml") == 0)
		assert_non_null(strstr(b.text.data, "error: nested more than 32 deep: flatten it"));
	assert_true(b.arena.used_bytes < 4 << 20);
	bed_done(&b);
	free(bytes);
}

static void depth_bombs(void **state)
{
	(void)state;
	depth_bomb_in("[", "x.yaml");
	depth_bomb_in("{a: ", "x.yaml");
	depth_bomb_in("- ", "x.yaml");
	depth_bomb_in("{\"a\":", "x.yaml");
	depth_bomb_in("[", "x.json");
	depth_bomb_in("{\"a\":", "x.json");
	depth_bomb_in("? ", "x.yaml");
}

static void depth_is_exact(void **state)
{
	char text[512];

	(void)state;
	for (int levels = 30; levels <= 34; levels++) {
		size_t used = (size_t)snprintf(text, sizeof(text), "{\"cluster_config\": ");
		for (int i = 1; i < levels; i++)
			text[used++] = '[';
		for (int i = 1; i < levels; i++)
			text[used++] = ']';
		(void)snprintf(text + used, sizeof(text) - used,
			       ", \"providers\": {\"mock\": {}}}");
		struct load_bed b;
		const char *said = bed_load(&b, text);
		assert_int_equal(strstr(said, "nested more than 32 deep") != NULL, levels > 32);
		bed_done(&b);
		/* The same as YAML. */
		text[0] = ' ';
		text[used] = '\n';
		text[used + 1] = '\0';
		said = bed_load(&b, text + 1);
		assert_int_equal(strstr(said, "nested more than 32 deep") != NULL, levels > 32);
		bed_done(&b);
	}
}

static void size_limit(void **state)
{
	size_t len = BF_CONFIG_MAX_BYTES + 1;
	char *bytes = malloc(len);
	struct load_bed b;

	(void)state;
	memset(bytes, '#', len);
	bed_load_bytes(&b, "x.yaml", bytes, len);
	assert_string_equal(
	    b.text.data,
	    "x.yaml: error: larger than 8 MB: this is no configuration file, or a part of "
	    "it belongs into file.PATH\n");
	bed_done(&b);
	bed_load_bytes(&b, "x.yaml", bytes, len - 1);
	assert_non_null(strstr(b.text.data, "at least one provider"));
	bed_done(&b);
	free(bytes);
}

/* Wide instead of deep: cost must stay linear. */
static void wide_file(const char *before, const char *after, bool numbered)
{
	size_t cap = 4 << 20, used = 0;
	char *bytes = malloc(cap);
	struct load_bed b;
	clock_t start = clock();

	for (unsigned n = 0; used < cap - 64; n++) {
		used += (size_t)snprintf(bytes + used, cap - used, "%s", before);
		if (numbered)
			used += (size_t)snprintf(bytes + used, cap - used, "%u", n);
		used += (size_t)snprintf(bytes + used, cap - used, "%s", after);
	}
	bed_load_bytes(&b, "x.yaml", bytes, used);
	assert_true(b.diags.error_count > 0);
	assert_true(b.diags.list.count <= 101);
	/* Seconds under a sanitizer; a quadratic walk takes minutes. */
	assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 30.0);
	bed_done(&b);
	free(bytes);
}

static void wide_files(void **state)
{
	(void)state;
	wide_file("k", ": 1\n", true);
	wide_file("same: 1\n", "", false);
	wide_file("- ", "\n", true);
	wide_file("? [", "]\n", true);
	wide_file("", " ", true);
	wide_file("", ": &a !x y\n", true);
}

static void tree_calls_after_a_failure_do_nothing(void **state)
{
	struct bf_arena arena;
	struct bf_diags diags;
	struct bf_tree tree;
	struct bf_pos pos = {1, 1};

	(void)state;
	bf_arena_init(&arena, 1 << 16);
	memset(&diags, 0, sizeof(diags));
	diags.arena = &arena;
	bf_tree_init(&tree, &arena, &diags);
	bf_tree_close(&tree);
	bf_tree_open(&tree, BF_NODE_MAP, pos);
	bf_tree_fail(&tree, pos, "first");
	bf_tree_fail(&tree, pos, "second");
	bf_tree_scalar(&tree, BF_SLICE_LIT("x"), BF_TEXT_PLAIN, pos);
	bf_tree_bad(&tree, pos);
	bf_tree_close(&tree);
	assert_int_equal(diags.error_count, 1);
	assert_int_equal(tree.root->count, 0);
	assert_int_equal(tree.depth, 1);
	bf_yaml_read(BF_SLICE_LIT("a: 1"), &tree);
	assert_int_equal(tree.root->count, 0);
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(malformed_yaml),
	    cmocka_unit_test(not_utf8),
	    cmocka_unit_test(zero_bytes),
	    cmocka_unit_test(a_byte_order_mark_is_no_key),
	    cmocka_unit_test(empty_files_are_all_defaults),
	    cmocka_unit_test(roots_that_are_no_mapping),
	    cmocka_unit_test(several_documents),
	    cmocka_unit_test(duplicate_keys),
	    cmocka_unit_test(keys_that_are_no_scalar),
	    cmocka_unit_test(aliases_and_tags),
	    cmocka_unit_test(alias_bomb),
	    cmocka_unit_test(depth_bombs),
	    cmocka_unit_test(depth_is_exact),
	    cmocka_unit_test(size_limit),
	    cmocka_unit_test(wide_files),
	    cmocka_unit_test(tree_calls_after_a_failure_do_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
