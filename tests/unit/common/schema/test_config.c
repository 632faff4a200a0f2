/*
 * The tables themselves and what is made from them: every row is sound, and man page, JSON schema,
 * Markdown and the example cover every key.
 */
#include "load_bed.h"

#include "common/codec/json_tape.h"
#include "common/govern/plan.h"
#include "common/schema/config_priv.h"
#include "common/schema/describe.h"

/* Tables that were met; NULL instead: each is walked wherever it stands. */
struct met {
	const struct bf_table *tables[64];
	size_t count;
};

static bool meets_again(struct met *met, const struct bf_table *table)
{
	for (size_t i = 0; met && i < met->count; i++)
		if (met->tables[i] == table)
			return true;
	assert_true(!met || met->count < BF_ARRAY_LEN(met->tables));
	if (met)
		met->tables[met->count++] = table;
	return false;
}

/* Calls fn for every key of a file with its dotted name. */
static void each_key_met(struct met *met, const struct bf_table *table, const char *prefix,
			 bool skip_first,
			 void (*fn)(const struct bf_field *f, const char *name, void *ctx),
			 void *ctx)
{
	for (uint16_t i = skip_first ? 1 : 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];
		char name[256];

		(void)snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] ? "." : "", f->name);
		fn(f, name, ctx);
		/* What is below another name stands below the first one too. */
		if (!f->sub || (f->flags & (BF_HIDDEN | BF_INTERNAL)))
			continue;
		size_t used = strlen(name);
		(void)snprintf(name + used, sizeof(name) - used, "%s",
			       f->type == BF_T_LIST  ? "[]"
			       : f->type == BF_T_MAP ? ".NAME"
						     : "");
		if (!meets_again(met, f->sub))
			each_key_met(met, f->sub, name, f->type == BF_T_MAP, fn, ctx);
	}
}

static void each_key(const struct bf_table *table, const char *prefix, bool skip_first,
		     void (*fn)(const struct bf_field *f, const char *name, void *ctx), void *ctx)
{
	each_key_met(NULL, table, prefix, skip_first, fn, ctx);
}

static size_t size_of(const struct bf_field *f)
{
	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		return sizeof(bool);
	case BF_T_ENUM:
	case BF_T_TRISTATE:
		return sizeof(int32_t);
	case BF_T_STRING:
	case BF_T_SECRET:
	case BF_T_BYTES:
		return sizeof(struct bf_slice);
	case BF_T_STRINGS:
	case BF_T_PAIRS:
	case BF_T_LIST:
	case BF_T_MAP:
		return sizeof(struct bf_array);
	case BF_T_OBJECT:
		return f->sub->size;
	case BF_T_INT:
	case BF_T_UINT:
	case BF_T_DURATION:
	case BF_T_SIZE:
	case BF_T_DECIMAL:
	case BF_T_TIME:
	case BF_T_COUNT:
		break;
	}
	return 8;
}

static void check_row(const struct bf_field *f, const char *name, void *ctx)
{
	unsigned *count = ctx;
	bool is_measure = f->type == BF_T_INT || f->type == BF_T_UINT || f->type == BF_T_DURATION ||
			  f->type == BF_T_SIZE || f->type == BF_T_DECIMAL;
	bool is_text = f->type == BF_T_STRING || f->type == BF_T_SECRET || f->type == BF_T_STRINGS;

	(*count)++;
	if (!f->doc || !f->doc[0] || f->doc[strlen(f->doc) - 1] != '.')
		fail_msg("%s: its text must be sentences", name);
	if (is_measure && f->max <= f->min)
		fail_msg("%s: has no bounds", name);
	if ((is_text || f->type == BF_T_LIST || f->type == BF_T_MAP) && f->max <= 0)
		fail_msg("%s: has no largest length", name);
	if (f->type == BF_T_ENUM && (!f->choices || !f->choices[0]))
		fail_msg("%s: has no choices", name);
	if ((f->type == BF_T_OBJECT || f->type == BF_T_LIST || f->type == BF_T_MAP) !=
	    (f->sub != NULL))
		fail_msg("%s: sub-table and type do not fit", name);
	if (f->type == BF_T_SECRET && (f->audience & ~(unsigned)(BF_FOR_PROXYD | BF_FOR_WRITERD)))
		fail_msg("%s: a secret leaves proxyd and writerd", name);
	if (strstr(name, "_in_seconds") && (f->type != BF_T_DURATION || f->unit != 1000))
		fail_msg("%s: a bare number must count seconds", name);
	if (strstr(name, "_mb") && (f->type != BF_T_SIZE || f->unit != 1 << 20))
		fail_msg("%s: a bare number must count megabytes", name);
}

static void check_layout(const struct bf_table *table)
{
	char *owner = calloc(1, table->size);

	assert_true(table->field_count <= BF_TABLE_MAX_FIELDS);
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];
		size_t size = size_of(f);

		assert_true(f->offset + size <= table->size);
		for (size_t b = 0; b < size; b++) {
			if (owner[f->offset + b])
				fail_msg("%s.%s overlaps another field", table->name, f->name);
			owner[f->offset + b] = 1;
		}
		for (uint16_t k = 0; k < i; k++)
			assert_string_not_equal(table->fields[k].name, f->name);
		if (f->sub)
			check_layout(f->sub);
	}
	free(owner);
}

static void every_row_is_sound(void **state)
{
	unsigned count = 0;

	(void)state;
	each_key(&bf_config_table, "", false, check_row, &count);
	assert_true(count >= 50);
	check_layout(&bf_config_table);
}

static void what_only_a_restart_changes_is_seen_by_the_supervisor(void **state)
{
	static const char expected[] =
	    "server.listen, config_store.config.path, logs_store.config.path, supervisor.workers, "
	    "supervisor.state_dir, supervisor.runtime_dir";
	struct load_bed a, b;
	struct bf_buf names;

	(void)state;
	assert_string_equal(bed_load(&a, MOCK), "");
	assert_string_equal(
	    bed_load(&b,
		     "server: {listen: ':1', idle_timeout: 5s}\nconfig_store: {config: {path: c}}\n"
		     "logs_store: {config: {path: l}}\nsupervisor: {workers: 3, state_dir: s, "
		     "runtime_dir: r, "
		     "ready_timeout: 3s}\n" MOCK),
	    "");
	bf_buf_init(&names, 4096);
	assert_int_equal(bf_table_diff(&bf_config_table, &a.config, &b.config, BF_FOR_SUPERVISOR,
				       BF_RELOAD_START, &names),
			 6);
	assert_int_equal(bf_buf_append(&names, "", 1), 0);
	assert_string_equal(names.data, expected);
	bf_buf_clear(&names);
	assert_int_equal(bf_table_diff(&bf_config_table, &a.config, &b.config, BF_FOR_SUPERVISOR,
				       BF_RELOAD_LIVE, &names),
			 2);
	assert_int_equal(bf_buf_append(&names, "", 1), 0);
	assert_string_equal(names.data, "supervisor.ready_timeout, config_hash");
	bf_buf_done(&names);
	bed_done(&a);
	bed_done(&b);
}

static void slices_hold_what_their_audience_may_see(void **state)
{
	static const struct {
		uint16_t audience;
		bool secret, path;
	} cases[] = {{BF_FOR_SUPERVISOR, false, true},
		     {BF_FOR_PROXYD, false, false},
		     {BF_FOR_CLUSTERD, false, false},
		     {BF_FOR_DISCOVERYD, false, false},
		     {BF_FOR_WRITERD, true, true}};
	struct load_bed b;

	(void)state;
	assert_string_equal(
	    bed_load(&b, "providers: {groq: {keys: [{name: a, value: env.KEY}]}}\n"), "");
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct bf_config back;
		struct bf_buf out;
		struct bf_err err;

		bf_buf_init(&out, 1 << 20);
		assert_int_equal(
		    bf_table_encode_mp(&bf_config_table, &b.config, cases[i].audience, &out), 0);
		assert_int_equal(memmem(out.data, bf_buf_len(&out), "hunter2", 7) != NULL,
				 cases[i].secret);
		assert_int_equal(memmem(out.data, bf_buf_len(&out), "logs.db", 7) != NULL,
				 cases[i].path);
		assert_int_equal(
		    bf_table_decode_mp(&bf_config_table, &back, bf_buf_slice(&out), &b.arena, &err),
		    0);
		assert_true(bf_table_equal(&bf_config_table, &b.config, &back, cases[i].audience));
		bf_buf_done(&out);
	}
	bed_done(&b);
}

static void the_worst_case_is_told_from_what_was_configured(void **state)
{
	struct load_bed b;
	struct bf_config own;
	struct bf_buf out;
	struct bf_err err;

	(void)state;
	assert_string_equal(
	    bed_load(&b,
		     "server: {max_connections: 10, read_buffer_size: 64KB, body_memory: 200MB,\n"
		     "  tls: {cert: '-----BEGIN CERTIFICATE-----', key: '-----BEGIN "
		     "PRIVATE KEY-----'}}\nproviders:\n"
		     "  ollama: {concurrency_and_buffer_size: {concurrency: 7}}\n"
		     "  sgl: {network_config: {max_conns_per_host: 5}}\n"),
	    "");
	/* The supervisor tells it, so it must see the keys. */
	bf_buf_init(&out, 1 << 20);
	assert_int_equal(bf_table_encode_mp(&bf_config_table, &b.config, BF_FOR_SUPERVISOR, &out),
			 0);
	assert_int_equal(
	    bf_table_decode_mp(&bf_config_table, &own, bf_buf_slice(&out), &b.arena, &err), 0);
	assert_int_equal(own.providers.count, 2);
	assert_int_equal(own.server.tls.key.len, 0);
	/* It sees no keys and no limits, and is told what a worker takes for them. */
	assert_int_equal(own.governance.virtual_keys.count, 0);
	assert_true(own.governance_bytes >=
		    (128u << 20) + 2 * bf_plan_worst(&b.config.governance).bytes);
	uint64_t front = own.governance_bytes + 4 * (200u << 20) + (8u << 20) + (33u << 20) +
			 10 * (1024u + (80u << 10) + (64u << 10) + (40u << 10) + (16u << 10));
	/* Shares are rounded up: 4 of 7 with 64 idle ones, 3 of 5. */
	assert_int_equal(bf_config_worker_worst_bytes(&own, 2),
			 front + 2 * (128u << 10) + (4 + 64 + 3) * (42u << 10));
	assert_int_equal(bf_config_worker_worst_bytes(&own, 1),
			 front + 2 * (128u << 10) + (7 + 64 + 5) * (42u << 10));
	bf_buf_done(&out);
	bed_done(&b);
}

static void check_in_text(const struct bf_field *f, const char *name, void *ctx)
{
	const char *text = ctx;

	if (f->sub || (f->flags & (BF_HIDDEN | BF_INTERNAL)))
		return;
	if (!strstr(text, name))
		fail_msg("%s is not described", name);
	if (f->dflt && !strstr(text, f->dflt))
		fail_msg("%s: its default is not told", name);
}

static void documents_cover_every_key(void **state)
{
	struct met met[2] = {{.count = 0}, {.count = 0}};
	struct bf_buf mdoc, markdown;

	(void)state;
	bf_buf_init(&mdoc, 1 << 20);
	bf_buf_init(&markdown, 1 << 20);
	assert_int_equal(bf_describe_mdoc(&bf_config_table, &mdoc), 0);
	assert_int_equal(bf_describe_markdown(&bf_config_table, &markdown), 0);
	assert_int_equal(bf_buf_append(&mdoc, "", 1), 0);
	assert_int_equal(bf_buf_append(&markdown, "", 1), 0);
	/* What a second place has in common with the first is not written again. */
	each_key_met(&met[0], &bf_config_table, "", false, check_in_text, mdoc.data);
	each_key_met(&met[1], &bf_config_table, "", false, check_in_text, markdown.data);
	assert_non_null(strstr(mdoc.data, ".It Ic governance.teams[].budgets[] Pq as "
					  "governance.virtual_keys[].budgets[]\n"));
	assert_non_null(strstr(markdown.data, "| `governance.teams[].budgets[]` | as "
					      "`governance.virtual_keys[].budgets[]` | | "));
	assert_null(strstr(mdoc.data, "config_hash"));
	assert_null(strstr(mdoc.data, "log_retention_days"));
	assert_non_null(
	    strstr(mdoc.data,
		   ".It Ic providers.NAME.keys[].weight Pq decimal number from 0 to 1000000\n"));
	bf_buf_done(&mdoc);
	bf_buf_done(&markdown);
	bf_buf_init(&mdoc, 100);
	assert_int_equal(bf_describe_mdoc(&bf_config_table, &mdoc), BF_E_LIMIT);
	assert_int_equal(bf_describe_markdown(&bf_config_table, &mdoc), BF_E_LIMIT);
	bf_buf_done(&mdoc);
}

struct schema {
	struct bf_json_tape tape;
};

/* Walks down the properties of the schema by the dotted name. */
static uint32_t schema_of(const struct bf_json_tape *t, const char *name)
{
	char copy[256];
	uint32_t at = 0;

	(void)snprintf(copy, sizeof(copy), "%s", name);
	for (char *part = strtok(copy, "."); part && at != BF_JSON_NONE; part = strtok(NULL, ".")) {
		bool is_list = strlen(part) > 2 && strcmp(part + strlen(part) - 2, "[]") == 0;

		if (is_list)
			part[strlen(part) - 2] = '\0';
		if (strcmp(part, "NAME") == 0)
			at = bf_json_member(t, at, "additionalProperties");
		else
			at = bf_json_member(t, bf_json_member(t, at, "properties"), part);
		if (is_list)
			at = bf_json_member(t, at, "items");
	}
	return at;
}

static void check_in_schema(const struct bf_field *f, const char *name, void *ctx)
{
	const struct schema *s = ctx;
	uint32_t at = schema_of(&s->tape, name);

	if ((at == BF_JSON_NONE) != ((f->flags & BF_INTERNAL) != 0))
		fail_msg("%s: wrong in the schema", name);
	if (at == BF_JSON_NONE)
		return;
	assert_int_not_equal(bf_json_member(&s->tape, at, "description"), BF_JSON_NONE);
	if (f->dflt)
		assert_int_not_equal(bf_json_member(&s->tape, at, "default"), BF_JSON_NONE);
}

static void the_schema_covers_every_key(void **state)
{
	struct bf_arena arena;
	struct schema s;
	struct bf_buf out;
	struct bf_err err;

	(void)state;
	bf_arena_init(&arena, 8 << 20);
	bf_buf_init(&out, 1 << 20);
	assert_int_equal(bf_describe_json_schema(&bf_config_table, &out), 0);
	if (bf_json_parse(&s.tape, bf_buf_slice(&out), &arena, &bf_json_default_limits, &err) < 0)
		fail_msg("%s", err.text);
	each_key(&bf_config_table, "", false, check_in_schema, &s);
	assert_int_not_equal(schema_of(&s.tape, "governance"), BF_JSON_NONE);
	assert_int_not_equal(schema_of(&s.tape, "providers.NAME.network_config.max_retries"),
			     BF_JSON_NONE);
	assert_int_equal(schema_of(&s.tape, "nonsense"), BF_JSON_NONE);
	bf_buf_done(&out);
	bf_buf_init(&out, 1000);
	assert_true(bf_describe_json_schema(&bf_config_table, &out) < 0);
	bf_buf_done(&out);
	bf_arena_done(&arena);
}

static char *read_whole(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = calloc(1, 1 << 16);

	if (!f)
		fail_msg("%s: cannot be read", path);
	else
		(void)!fread(text, 1, (1 << 16) - 1, f);
	if (f)
		(void)fclose(f);
	return text;
}

/* The last part of a key's name must stand in the example, as a key, commented out or not. */
static void check_in_example(const struct bf_field *f, const char *name, void *ctx)
{
	const char *text = ctx;
	char inner[80], top[80];

	if (f->flags & (BF_HIDDEN | BF_INTERNAL))
		return;
	(void)snprintf(inner, sizeof(inner), " %s:", f->name);
	(void)snprintf(top, sizeof(top), "\n%s:", f->name);
	if (!strstr(text, inner) && !strstr(text, top))
		fail_msg("examples/bifrost.yaml does not show %s", name);
}

static void examples_load(void **state)
{
	static const char *const files[] = {"quickstart.yaml", "quickstart-openai.yaml",
					    "bifrost.yaml"};

	(void)state;
	assert_int_equal(setenv("OPENAI_API_KEY", "x", 1), 0);
	assert_int_equal(setenv("CHECKOUT_KEY", "x", 1), 0);
	assert_int_equal(setenv("BATCH_KEY", "y", 1), 0);
	for (size_t i = 0; i < BF_ARRAY_LEN(files); i++) {
		char path[512];
		struct bf_arena arena;
		struct bf_config config;
		struct bf_diags diags;

		(void)snprintf(path, sizeof(path), "%s/%s", BF_EXAMPLES_DIR, files[i]);
		char *text = read_whole(path);
		bf_arena_init(&arena, 1 << 20);
		int r = bf_config_load(bf_slice_from(path), bf_slice_from(text),
				       &bf_config_env_system, &arena, &config, &diags);
		if (r < 0 || diags.warning_count)
			fail_msg("%s: %s", path, ((struct bf_diag *)diags.list.items)->text.ptr);
		if (strcmp(files[i], "bifrost.yaml") == 0)
			each_key(&bf_config_table, "", false, check_in_example, text);
		bf_arena_done(&arena);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_row_is_sound),
	    cmocka_unit_test(what_only_a_restart_changes_is_seen_by_the_supervisor),
	    cmocka_unit_test(slices_hold_what_their_audience_may_see),
	    cmocka_unit_test(the_worst_case_is_told_from_what_was_configured),
	    cmocka_unit_test(documents_cover_every_key),
	    cmocka_unit_test(the_schema_covers_every_key),
	    cmocka_unit_test(examples_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
