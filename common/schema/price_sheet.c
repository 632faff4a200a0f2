/*
 * A price sheet, from bytes to entries. Called by the helper that loads the configuration, after
 * the configuration itself. Must never take a price for what the sheet does not say: an entry that
 * cannot be understood is an error, or is skipped and counted.
 */
#include "common/schema/price_sheet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/base/num.h"
#include "common/codec/json_tape.h"
#include "common/schema/decimal.h"
#include "common/schema/value.h"

#define NAME_MAX_BYTES 256u
#define DATE_MAX_BYTES 64u

struct sheet {
	struct bf_json_tape tape;
	struct bf_arena *arena;
	struct bf_err *err;
};

/* One entry while it is read; the tokens of its members. */
struct entry {
	struct bf_slice key;
	uint32_t at, object;
};

/* ---- errors */

static int fail_at(const struct sheet *s, uint32_t token, int code, const char *text)
{
	uint32_t line, col;

	bf_json_position(s->tape.text, s->tape.tokens[token].start, &line, &col);
	return bf_err_set(s->err, code, "%" PRIu32 ":%" PRIu32 ": error: %s", line, col, text);
}

static int fail_entry(const struct sheet *s, const struct entry *e, uint32_t token,
		      const char *member, const char *what)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "entry \"%.*s\": %s%s%s", (int)BF_MIN(e->key.len, 80u),
		       e->key.ptr ? e->key.ptr : "", member ? member : "", member ? ": " : "",
		       what);
	return fail_at(s, token, BF_E_SYNTAX, text);
}

/* "line:col: what" of the JSON parser. */
static int fail_json(struct bf_err *err)
{
	char copy[sizeof(err->text)];
	unsigned line = 1, col = 1;
	int used = 0;

	memcpy(copy, err->text, sizeof(copy));
	if (sscanf(copy, "%u:%u: %n", &line, &col, &used) != 2 || used <= 0) {
		line = col = 1;
		used = 0;
	}
	return bf_err_set(err, BF_E_SYNTAX, "%u:%u: error: not JSON: %.180s", line, col,
			  copy + used);
}

/* ---- texts */

static bool is_null(const struct sheet *s, uint32_t i)
{
	return i == BF_JSON_NONE || s->tape.tokens[i].type == BF_JSON_NULL;
}

/* Terminated, in the arena. */
static int read_text(const struct sheet *s, uint32_t i, size_t most, struct bf_slice *ret_text)
{
	struct bf_slice text = {NULL, 0};
	int r = bf_json_string(&s->tape, i, s->arena, &text);

	if (r < 0)
		return r;
	if (text.len > most)
		return BF_E_LIMIT;
	if (text.len && memchr(text.ptr, '\0', text.len))
		return BF_E_SYNTAX;
	*ret_text = bf_arena_dup(s->arena, text);
	return ret_text->ptr ? 0 : BF_E_LIMIT;
}

static int read_member_text(const struct sheet *s, const struct entry *e, const char *member,
			    struct bf_slice *ret_text)
{
	uint32_t i = bf_json_member(&s->tape, e->object, member);

	*ret_text = (struct bf_slice){"", 0};
	if (is_null(s, i))
		return 0;
	if (s->tape.tokens[i].type != BF_JSON_STRING)
		return fail_entry(s, e, i, member, "must be a string");
	if (read_text(s, i, NAME_MAX_BYTES, ret_text) < 0)
		return fail_entry(s, e, i, member, "is longer than 256 bytes, or no text");
	return 0;
}

/* ---- names */

/* LiteLLM's names of providers that have another one here; with a star: what begins so. */
static const struct {
	const char *theirs, *ours;
} renamed[] = {
    {"vertex_ai*", "vertex"},       {"bedrock_converse", "bedrock"},      {"cohere_chat", "cohere"},
    {"fireworks_ai*", "fireworks"}, {"text-completion-openai", "openai"}, {"azure_text", "azure"},
    {"hosted_vllm", "vllm"},
};

static struct bf_slice provider_name(struct bf_slice name)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(renamed); i++) {
		size_t n = strlen(renamed[i].theirs);
		bool star = renamed[i].theirs[n - 1] == '*';

		if (star ? bf_slice_starts(name, (struct bf_slice){renamed[i].theirs, n - 1})
			 : bf_slice_is(name, renamed[i].theirs))
			return bf_slice_from(renamed[i].ours);
	}
	return name;
}

/* Before the first '/'; empty: there is none. */
static struct bf_slice first_part(struct bf_slice key)
{
	const char *slash = key.len ? memchr(key.ptr, '/', key.len) : NULL;

	return (struct bf_slice){key.ptr, slash ? (size_t)(slash - key.ptr) : 0};
}

/* The key begins with the provider as it is called here, or does not name it. */
static int settle_names(const struct sheet *s, struct bf_slice provider,
			struct bf_conf_sheet_price *price)
{
	struct bf_slice first = first_part(price->key);
	struct bf_slice named = provider_name(first);
	char *text;

	price->provider = bf_arena_dup(s->arena, provider.len ? provider_name(provider) : named);
	if (!price->provider.ptr)
		return BF_E_LIMIT;
	if (first.len == 0 || bf_slice_eq(named, first) || !bf_slice_eq(named, price->provider))
		return 0;
	text = bf_arena_printf(s->arena, "%.*s%.*s", BF_SLICE_FMT(named),
			       (int)(price->key.len - first.len), price->key.ptr + first.len);
	if (!text)
		return BF_E_LIMIT;
	price->key = bf_slice_from(text);
	return 0;
}

static int read_names(const struct sheet *s, const struct entry *e,
		      struct bf_conf_sheet_price *price)
{
	struct bf_slice provider, theirs;
	int r = read_member_text(s, e, "provider", &provider);

	if (r == 0)
		r = read_member_text(s, e, "litellm_provider", &theirs);
	if (r == 0)
		r = read_member_text(s, e, "base_model", &price->base_model);
	if (r < 0)
		return r;
	price->key = e->key;
	r = settle_names(s, provider.len ? provider : theirs, price);
	return r < 0 ? fail_entry(s, e, e->at, NULL, "the sheet does not fit into memory") : 0;
}

/* ---- prices */

static const struct bf_field *price_field(struct bf_slice name)
{
	for (uint16_t i = 0; i < bf_price_fields_table.field_count; i++)
		if (bf_slice_is(name, bf_price_fields_table.fields[i].name))
			return &bf_price_fields_table.fields[i];
	return NULL;
}

/* LiteLLM tells searches by the size of their context: the usual one. */
static uint32_t usual_search(const struct sheet *s, uint32_t value)
{
	uint32_t medium = bf_json_member(&s->tape, value, "search_context_size_medium");

	return medium == BF_JSON_NONE ? value : medium;
}

static int read_price(const struct sheet *s, const struct entry *e, const struct bf_field *f,
		      uint32_t value, struct bf_conf_price *price)
{
	char what[128], bounds[96];
	int64_t pusd = 0;
	int r;

	if (s->tape.tokens[value].type == BF_JSON_OBJECT)
		value = usual_search(s, value);
	if (is_null(s, value))
		return 0;
	if (s->tape.tokens[value].type != BF_JSON_NUMBER)
		return fail_entry(s, e, value, f->name, "must be a number");
	r = bf_decimal_parse_nearest(bf_json_raw(&s->tape, value), f->decimals, &pusd);
	if (r == BF_E_TYPE)
		return fail_entry(s, e, value, f->name,
				  "is so little that it would count as nothing: write 1e-12, the "
				  "least there is, or 0");
	if (r < 0 || !bf_field_admits_i64(f, pusd)) {
		(void)snprintf(what, sizeof(what), "must be %s", bf_bounds_text(f, bounds));
		return fail_entry(s, e, value, f->name, what);
	}
	*(int64_t *)bf_field_slot(f, price) = pusd;
	return 0;
}

static void forget_zero(int64_t usual_pusd, int64_t *pusd)
{
	if (usual_pusd > 0 && *pusd == 0)
		*pusd = BF_PRICE_NOT_GIVEN;
}

/* Programs write 0 for what they do not know: at a model that is paid for, no tier, no step, no
 * sound and no thought is free. What is free says so of its input. */
static void forget_zeros(struct bf_conf_price *price)
{
	int64_t usual[BF_PRICE_KINDS];

	for (int k = 0; k < BF_PRICE_KINDS; k++) {
		usual[k] = price->token_pusd[k][BF_RATE_PLAIN];
		for (int r = BF_RATE_PLAIN + 1; r < BF_RATES; r++)
			forget_zero(usual[k], &price->token_pusd[k][r]);
	}
	forget_zero(usual[BF_PRICE_CACHE_WRITE], &price->cache_write_1hr_pusd);
	forget_zero(usual[BF_PRICE_INPUT], &price->audio_input_pusd);
	forget_zero(usual[BF_PRICE_OUTPUT], &price->audio_output_pusd);
	forget_zero(usual[BF_PRICE_OUTPUT], &price->reasoning_pusd);
	if (usual[BF_PRICE_INPUT] < 0 && price->request_pusd == 0)
		price->request_pusd = BF_PRICE_NOT_GIVEN;
}

static void forget_repeat(int64_t usual_pusd, int64_t *pusd)
{
	if (usual_pusd > 0 && *pusd == usual_pusd)
		*pusd = BF_PRICE_NOT_GIVEN;
}

/* Sound and thoughts that cost what text costs are text: its tiers, its steps and what somebody
 * corrects of its price are theirs too. */
static void forget_repeats(struct bf_conf_price *price)
{
	int64_t input = price->token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN];
	int64_t output = price->token_pusd[BF_PRICE_OUTPUT][BF_RATE_PLAIN];

	forget_repeat(input, &price->audio_input_pusd);
	forget_repeat(output, &price->audio_output_pusd);
	forget_repeat(output, &price->reasoning_pusd);
}

static int read_prices(const struct sheet *s, const struct entry *e, struct bf_conf_price *price)
{
	int r = bf_table_defaults(&bf_price_fields_table, price, s->arena);

	for (uint32_t key = bf_json_first(e->object);
	     r == 0 && key < s->tape.tokens[e->object].next; key = s->tape.tokens[key + 1].next) {
		const struct bf_json_token *t = &s->tape.tokens[key];
		const struct bf_field *f =
		    price_field((struct bf_slice){s->tape.text.ptr + t->start, t->len});

		if (f)
			r = read_price(s, e, f, key + 1, price);
	}
	forget_zeros(price);
	forget_repeats(price);
	return r;
}

/* ---- what else it tells of a model */

/* A number that cannot be used is as one that is not there: nothing is paid by it. */
static uint64_t read_fact(const struct sheet *s, const struct entry *e, const char *member)
{
	uint32_t i = bf_json_member(&s->tape, e->object, member);
	uint64_t value;

	if (i == BF_JSON_NONE || s->tape.tokens[i].type != BF_JSON_NUMBER ||
	    bf_parse_u64(bf_json_raw(&s->tape, i), &value) < 0)
		return 0;
	return value <= BF_MODEL_TOKENS_MAX ? value : 0;
}

static void read_facts(const struct sheet *s, const struct entry *e,
		       struct bf_conf_model_facts *ret_facts)
{
	*ret_facts = (struct bf_conf_model_facts){
	    .context_length = read_fact(s, e, "context_length"),
	    .max_input_tokens = read_fact(s, e, "max_input_tokens"),
	    .max_output_tokens = read_fact(s, e, "max_output_tokens"),
	};
	for (unsigned i = 0; bf_model_abilities[i]; i++) {
		uint32_t at = bf_json_member(&s->tape, e->object, bf_model_abilities[i]);

		if (at != BF_JSON_NONE && s->tape.tokens[at].type == BF_JSON_TRUE)
			ret_facts->supports |= UINT64_C(1) << i;
	}
}

/* ---- entries */

/* Is the model paid for by tokens of text? */
static bool mode_of(struct bf_slice text, int32_t *ret_mode)
{
	static const struct {
		const char *name;
		enum bf_price_mode mode;
	} names[] = {
	    {"", BF_PRICE_ANY_MODE},
	    {"chat", BF_PRICE_CHAT},
	    {"completion", BF_PRICE_COMPLETION},
	    {"responses", BF_PRICE_RESPONSES},
	    {"embedding", BF_PRICE_EMBEDDING},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++) {
		if (!bf_slice_is(text, names[i].name))
			continue;
		*ret_mode = (int32_t)names[i].mode;
		return true;
	}
	return false;
}

/* Has it what a request costs, or another model that may have it? */
static bool says_price(const struct bf_conf_sheet_price *e)
{
	bool input = e->price.token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN] >= 0;
	bool output = e->price.token_pusd[BF_PRICE_OUTPUT][BF_RATE_PLAIN] >= 0;

	if (e->base_model.len || e->price.request_pusd >= 0)
		return true;
	return input && (output || e->mode == BF_PRICE_EMBEDDING);
}

/* 1: it is one, in *ret; 0: it is skipped. */
static int read_entry(const struct sheet *s, const struct entry *e, struct bf_conf_sheet_price *ret)
{
	struct bf_slice mode;
	int r = read_member_text(s, e, "mode", &mode);

	if (r < 0 || !mode_of(mode, &ret->mode))
		return r;
	r = read_names(s, e, ret);
	read_facts(s, e, &ret->facts);
	if (r == 0)
		r = read_prices(s, e, &ret->price);
	return r < 0 ? r : says_price(ret);
}

/* A text beside the entries. */
static int read_remark(const struct sheet *s, const struct entry *e, struct bf_conf_sheet *sheet)
{
	if (s->tape.tokens[e->object].type != BF_JSON_STRING)
		return fail_entry(s, e, e->object, NULL, "must be an object");
	if (bf_slice_is(e->key, "note"))
		return 0;
	if (!bf_slice_is(e->key, "date"))
		return fail_entry(s, e, e->object, NULL, "must be an object");
	if (read_text(s, e->object, DATE_MAX_BYTES, &sheet->date) < 0)
		return fail_entry(s, e, e->object, NULL, "must be a date");
	return 0;
}

static int read_member(const struct sheet *s, uint32_t key, struct bf_conf_sheet *sheet)
{
	struct bf_conf_sheet_price *items = sheet->entries.items;
	struct entry e = {.key = {"", 0}, .at = key, .object = key + 1};
	int r = read_text(s, key, NAME_MAX_BYTES, &e.key);

	if (r < 0 || e.key.len == 0)
		return fail_at(s, key, BF_E_SYNTAX,
			       "the name of an entry must have from 1 to 256 bytes of text");
	if (s->tape.tokens[e.object].type != BF_JSON_OBJECT)
		return read_remark(s, &e, sheet);
	if (sheet->entries.count == BF_SHEET_ENTRIES_MAX)
		return fail_entry(s, &e, key, NULL,
				  "is one more than the 10000 models that a sheet may have");
	r = read_entry(s, &e, &items[sheet->entries.count]);
	sheet->entries.count += r == 1;
	sheet->skipped += r == 0;
	return r < 0 ? r : 0;
}

int bf_price_sheet_read(struct bf_slice bytes, struct bf_arena *arena,
			struct bf_conf_sheet *ret_sheet, struct bf_err *err)
{
	struct sheet s = {.arena = arena, .err = err};
	struct bf_conf_sheet sheet = {.file = {"", 0}, .date = {"", 0}};
	int r = bf_json_parse(&s.tape, bytes, arena, &bf_json_default_limits, err);

	if (r < 0)
		return fail_json(err);
	if (s.tape.tokens[0].type != BF_JSON_OBJECT)
		return fail_at(&s, 0, BF_E_SYNTAX, "must be a JSON object of models");
	uint32_t room = BF_MIN(s.tape.tokens[0].count, (uint32_t)BF_SHEET_ENTRIES_MAX);
	sheet.entries.items =
	    bf_arena_alloc(arena, (room + 1) * sizeof(struct bf_conf_sheet_price));
	if (!sheet.entries.items)
		return fail_at(&s, 0, BF_E_LIMIT, "the sheet does not fit into memory");
	for (uint32_t key = bf_json_first(0); r == 0 && key < s.tape.tokens[0].next;
	     key = s.tape.tokens[key + 1].next)
		r = read_member(&s, key, &sheet);
	if (r < 0)
		return r;
	sheet.models = sheet.entries.count;
	*ret_sheet = sheet;
	return 0;
}
