/*
 * The description of prices: what a model costs, what a file says over the price sheet, and the
 * sheet itself as it travels to the workers. Part of the tables of config.c. Only proxyd sees them.
 */
#include "common/schema/config_priv.h"

#define FOR_PROXYD_WRITERD (BF_FOR_PROXYD | BF_FOR_WRITERD)

#define PUSD        INT64_C(1000000000000)
#define ID_MAX      128
#define SHEET_NAME  256
#define SKIPPED_MAX 1000000

#define TOKEN_PRICE(key, kind, rate, text)                                                 \
	{                                                                                  \
		.name = (key), .type = BF_T_DECIMAL,                                       \
		.offset = (uint32_t)offsetof(struct bf_conf_price,                         \
					     token_pusd[BF_PRICE_##kind][BF_RATE_##rate]), \
		.decimals = 12, .min = 0, .max = PUSD, .flags = BF_OR_NULL,                \
		.audience = FOR_PROXYD_WRITERD, .doc = (text),                             \
	}

#define OTHER_PRICE(key, member, most, text)                                          \
	{                                                                             \
		.name = (key), .type = BF_T_DECIMAL, BF_FIELD(bf_conf_price, member), \
		.decimals = 12, .min = 0, .max = (most), .flags = BF_OR_NULL,         \
		.audience = FOR_PROXYD_WRITERD, .doc = (text),                        \
	}

static const struct bf_field price_fields[] = {
    TOKEN_PRICE("input_cost_per_token", INPUT, PLAIN,
		"Dollars for a token of a prompt, such as 1.5e-07."),
    TOKEN_PRICE("input_cost_per_token_batches", INPUT, BATCHES,
		"Dollars for a token of a prompt of a batch."),
    TOKEN_PRICE("input_cost_per_token_priority", INPUT, PRIORITY,
		"Dollars for a token of a prompt, at the service tier priority."),
    TOKEN_PRICE("input_cost_per_token_flex", INPUT, FLEX,
		"Dollars for a token of a prompt, at the service tier flex."),
    TOKEN_PRICE("input_cost_per_token_above_128k_tokens", INPUT, ABOVE_128K,
		"Dollars for a token of a prompt, in a request of more than 128,000 tokens."),
    TOKEN_PRICE("input_cost_per_token_above_200k_tokens", INPUT, ABOVE_200K,
		"Dollars for a token of a prompt, in a request of more than 200,000 tokens."),
    TOKEN_PRICE("input_cost_per_token_above_200k_tokens_priority", INPUT, ABOVE_200K_PRIORITY,
		"Dollars for a token of a prompt, in one of more than 200,000 tokens at the "
		"service tier priority."),
    TOKEN_PRICE("input_cost_per_token_above_272k_tokens", INPUT, ABOVE_272K,
		"Dollars for a token of a prompt, in a request of more than 272,000 tokens."),
    TOKEN_PRICE("input_cost_per_token_above_272k_tokens_priority", INPUT, ABOVE_272K_PRIORITY,
		"Dollars for a token of a prompt, in one of more than 272,000 tokens at the "
		"service tier priority."),
    TOKEN_PRICE("output_cost_per_token", OUTPUT, PLAIN, "Dollars for a token of an answer."),
    TOKEN_PRICE("output_cost_per_token_batches", OUTPUT, BATCHES,
		"Dollars for a token of an answer of a batch."),
    TOKEN_PRICE("output_cost_per_token_priority", OUTPUT, PRIORITY,
		"Dollars for a token of an answer, at the service tier priority."),
    TOKEN_PRICE("output_cost_per_token_flex", OUTPUT, FLEX,
		"Dollars for a token of an answer, at the service tier flex."),
    TOKEN_PRICE("output_cost_per_token_above_128k_tokens", OUTPUT, ABOVE_128K,
		"Dollars for a token of an answer, in a request of more than 128,000 tokens."),
    TOKEN_PRICE("output_cost_per_token_above_200k_tokens", OUTPUT, ABOVE_200K,
		"Dollars for a token of an answer, in a request of more than 200,000 tokens."),
    TOKEN_PRICE("output_cost_per_token_above_200k_tokens_priority", OUTPUT, ABOVE_200K_PRIORITY,
		"Dollars for a token of an answer, in one of more than 200,000 tokens at the "
		"service tier priority."),
    TOKEN_PRICE("output_cost_per_token_above_272k_tokens", OUTPUT, ABOVE_272K,
		"Dollars for a token of an answer, in a request of more than 272,000 tokens."),
    TOKEN_PRICE("output_cost_per_token_above_272k_tokens_priority", OUTPUT, ABOVE_272K_PRIORITY,
		"Dollars for a token of an answer, in one of more than 272,000 tokens at the "
		"service tier priority."),
    TOKEN_PRICE("cache_read_input_token_cost", CACHE_READ, PLAIN,
		"Dollars for a token of a prompt that the provider had in its cache; absent: as "
		"any token of a prompt."),
    TOKEN_PRICE("cache_read_input_token_cost_priority", CACHE_READ, PRIORITY,
		"Dollars for a token of a prompt that the provider had in its cache, at the "
		"service tier priority."),
    TOKEN_PRICE("cache_read_input_token_cost_flex", CACHE_READ, FLEX,
		"Dollars for a token of a prompt that the provider had in its cache, at the "
		"service tier flex."),
    TOKEN_PRICE("cache_read_input_token_cost_above_200k_tokens", CACHE_READ, ABOVE_200K,
		"Dollars for a token of a prompt that the provider had in its cache, in a request "
		"of more than 200,000 tokens."),
    TOKEN_PRICE("cache_read_input_token_cost_above_200k_tokens_priority", CACHE_READ,
		ABOVE_200K_PRIORITY,
		"Dollars for a token of a prompt that the provider had in its cache, in one of "
		"more than 200,000 tokens at the service tier priority."),
    TOKEN_PRICE("cache_read_input_token_cost_above_272k_tokens", CACHE_READ, ABOVE_272K,
		"Dollars for a token of a prompt that the provider had in its cache, in a request "
		"of more than 272,000 tokens."),
    TOKEN_PRICE("cache_read_input_token_cost_above_272k_tokens_priority", CACHE_READ,
		ABOVE_272K_PRIORITY,
		"Dollars for a token of a prompt that the provider had in its cache, in one of "
		"more than 272,000 tokens at the service tier priority."),
    TOKEN_PRICE("cache_creation_input_token_cost", CACHE_WRITE, PLAIN,
		"Dollars for a token of a prompt that the provider put into its cache; absent: as "
		"any token of a prompt."),
    TOKEN_PRICE("cache_creation_input_token_cost_above_200k_tokens", CACHE_WRITE, ABOVE_200K,
		"Dollars for a token of a prompt that the provider put into its cache, in a "
		"request of more than 200,000 tokens."),
    OTHER_PRICE("cache_creation_input_token_cost_above_1hr", cache_write_1hr_pusd, PUSD,
		"Dollars for a token that the provider keeps in its cache for an hour; absent: as "
		"any that it put there."),
    OTHER_PRICE("input_cost_per_audio_token", audio_input_pusd, PUSD,
		"Dollars for a token of sound in a prompt; absent: as any token of a prompt."),
    OTHER_PRICE("output_cost_per_audio_token", audio_output_pusd, PUSD,
		"Dollars for a token of sound in an answer; absent: as any token of an answer."),
    OTHER_PRICE("output_cost_per_reasoning_token", reasoning_pusd, PUSD,
		"Dollars for a token that the model thought; absent: as any token of an answer."),
    OTHER_PRICE("cost_per_request", request_pusd, 1000 * PUSD,
		"Dollars for each request, beside its tokens."),
    OTHER_PRICE("search_context_cost_per_query", search_pusd, 1000 * PUSD,
		"Dollars for each search that the provider made for an answer and counted in its "
		"usage."),
};

const struct bf_table bf_price_fields_table = {
    .name = "governance.pricing_overrides.pricing_patch",
    .size = sizeof(struct bf_conf_price),
    /* Not every kind has every rate: BF_PRICE_NOT_GIVEN. */
    .blank = 0xff,
    BF_ROWS(price_fields),
    .doc = "What a model costs.",
};

/* By enum bf_price_scope, bf_price_match, bf_price_mode. */
static const char *const scope_kinds[] = {"virtual_key_provider_key",
					  "virtual_key_provider",
					  "virtual_key",
					  "provider_key",
					  "provider",
					  "global",
					  NULL};
static const char *const match_types[] = {"exact", "wildcard", NULL};
const char *const bf_unpriced_choices[] = {"deny", "warn", "default_price", NULL};
static const char *const modes[] = {"chat", "completion", "responses", "embedding", "any", NULL};

static const struct bf_field pricing_override_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing_override, id),
     .max = ID_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Identity; made from the name when absent."},
    {.name = "name",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing_override, name),
     .max = ID_MAX,
     .flags = BF_REQUIRED,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Name of the price, unique in the file."},
    {.name = "scope_kind",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_pricing_override, scope_kind),
     .choices = scope_kinds,
     .dflt = "global",
     .audience = FOR_PROXYD_WRITERD,
     .doc = "For whom it holds; who is meant stands in virtual_key_id, provider_key_id and "
	    "provider_id. The choices stand in the order in which they count; of all overrides "
	    "that fit a call one counts."},
    {.name = "virtual_key_id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing_override, virtual_key_id),
     .max = ID_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "The id of the virtual key, where scope_kind names one."},
    {.name = "provider_key_id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing_override, provider_key_id),
     .max = ID_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "The id of the provider's key, where scope_kind names one."},
    {.name = "provider_id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing_override, provider_id),
     .max = BF_PROVIDER_NAME_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Name of the provider, for scope_kind: provider and virtual_key_provider."},
    {.name = "match_type",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_pricing_override, match_type),
     .choices = match_types,
     .dflt = "exact",
     .audience = FOR_PROXYD_WRITERD,
     .doc = "How pattern is compared; exact counts before wildcard, then the one with most text "
	    "before its first *, then what stands first."},
    {.name = "pattern",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing_override, pattern),
     .max = BF_PRICE_PATTERN_MAX,
     .flags = BF_REQUIRED,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Name of the model, without its provider, in any case of letters; in a wildcard * "
	    "stands for any text."},
    {.name = "request_types",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_conf_pricing_override, request_types),
     .max = BF_PRICE_MODES,
     .settle = bf_settle_request_type,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Only for these: chat_completion, text_completion, responses, embedding; none: for "
	    "all."},
    {.name = "pricing_patch",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_pricing_override, pricing_patch),
     .sub = &bf_price_fields_table,
     .flags = BF_REQUIRED,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "What counts instead of what the price sheet says; what is not given here is as "
	    "there."},
};

const struct bf_table bf_pricing_override_table = {
    .name = "governance.pricing_overrides",
    .size = sizeof(struct bf_conf_pricing_override),
    BF_ROWS(pricing_override_fields),
    .check = bf_pricing_override_check,
    .doc = "What models cost, where it is not as the price sheet says.",
};

/* ---- the sheet: on its way only */

/* Places in a number that is stored: new ones at the end, 32 at most. */
const char *const bf_model_abilities[] = {
    "supports_assistant_prefill",
    "supports_audio_input",
    "supports_audio_output",
    "supports_computer_use",
    "supports_function_calling",
    "supports_native_streaming",
    "supports_parallel_function_calling",
    "supports_pdf_input",
    "supports_prompt_caching",
    "supports_reasoning",
    "supports_response_schema",
    "supports_system_messages",
    "supports_tool_choice",
    "supports_url_context",
    "supports_video_input",
    "supports_vision",
    "supports_web_search",
    NULL,
};

#define FACT(key, most)                                                              \
	{                                                                            \
		.name = #key, .type = BF_T_UINT, BF_FIELD(bf_conf_model_facts, key), \
		.max = (most), .dflt = "0", .audience = BF_FOR_PROXYD                \
	}
static const struct bf_field facts_fields[] = {
    FACT(context_length, BF_MODEL_TOKENS_MAX),
    FACT(max_input_tokens, BF_MODEL_TOKENS_MAX),
    FACT(max_output_tokens, BF_MODEL_TOKENS_MAX),
    FACT(supports, UINT32_MAX),
};

static const struct bf_table facts_table = {
    .name = "framework.pricing.sheet.entries.facts",
    .size = sizeof(struct bf_conf_model_facts),
    BF_ROWS(facts_fields),
};

static const struct bf_field sheet_price_fields[] = {
    {.name = "key",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_sheet_price, key),
     .max = SHEET_NAME,
     .flags = BF_REQUIRED,
     .audience = BF_FOR_PROXYD},
    {.name = "provider",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_sheet_price, provider),
     .max = SHEET_NAME,
     .audience = BF_FOR_PROXYD},
    {.name = "base_model",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_sheet_price, base_model),
     .max = SHEET_NAME,
     .audience = BF_FOR_PROXYD},
    {.name = "mode",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_sheet_price, mode),
     .choices = modes,
     .dflt = "any",
     .audience = BF_FOR_PROXYD},
    {.name = "price",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_sheet_price, price),
     .sub = &bf_price_fields_table,
     .audience = BF_FOR_PROXYD},
    {.name = "facts",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_sheet_price, facts),
     .sub = &facts_table,
     .audience = BF_FOR_PROXYD},
};

const struct bf_table bf_sheet_price_table = {
    .name = "framework.pricing.sheet.entries",
    .size = sizeof(struct bf_conf_sheet_price),
    BF_ROWS(sheet_price_fields),
};

static const struct bf_field sheet_fields[] = {
    {.name = "file",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_sheet, file),
     .max = 4096,
     .audience = BF_FOR_PROXYD | BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_LIVE},
    {.name = "date",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_sheet, date),
     .max = 64,
     .audience = BF_FOR_PROXYD | BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_LIVE},
    {.name = "models",
     .type = BF_T_UINT,
     BF_FIELD(bf_conf_sheet, models),
     .max = BF_SHEET_ENTRIES_MAX,
     .dflt = "0",
     .audience = BF_FOR_PROXYD | BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_LIVE},
    {.name = "skipped",
     .type = BF_T_UINT,
     BF_FIELD(bf_conf_sheet, skipped),
     .max = SKIPPED_MAX,
     .dflt = "0",
     .audience = BF_FOR_PROXYD | BF_FOR_SUPERVISOR,
     .reload = BF_RELOAD_LIVE},
    {.name = "entries",
     .type = BF_T_LIST,
     BF_FIELD(bf_conf_sheet, entries),
     .sub = &bf_sheet_price_table,
     .max = BF_SHEET_ENTRIES_MAX,
     .audience = BF_FOR_PROXYD},
};

static const struct bf_table sheet_table = {
    .name = "framework.pricing.sheet",
    .size = sizeof(struct bf_conf_sheet),
    BF_ROWS(sheet_fields),
};

static const struct bf_field pricing_fields[] = {
    {.name = "pricing_file",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing, pricing_file),
     .max = 1024,
     .audience = BF_FOR_PROXYD,
     .doc =
	 "Price sheet: a JSON file that maps \"provider/model\" to prices as in "
	 "governance.pricing_overrides.pricing_patch, or in the form that LiteLLM publishes; what "
	 "it tells of lengths and abilities is shown by /api/models/details and /parameters. A "
	 "relative path starts at the folder of this file. Read at the start and at a reload; "
	 "absent: the sheet that is installed, which says of what date it is."},
    {.name = "pricing_url",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing, pricing_url),
     .max = BF_PRICE_SHEET_URL_MAX,
     .settle = bf_settle_pricing_url,
     .audience = BF_FOR_WRITERD | BF_FOR_SUPERVISOR,
     .doc =
	 "Price sheet that is fetched while the gateway runs: https://, file:///PATH, or http:// "
	 "to this machine. What it tells of a model counts before pricing_file and the sheet that "
	 "is installed. The last one that came is kept in the config store."},
    {.name = "pricing_sync_interval",
     .type = BF_T_DURATION,
     BF_FIELD(bf_conf_pricing, pricing_sync_interval_ms),
     .unit = 1000,
     .min = 3600 * 1000,
     .max = INT64_C(365) * 86400 * 1000,
     .dflt = "24h",
     .audience = BF_FOR_WRITERD,
     .doc =
	 "Between two looks at pricing_url; a bare number counts seconds. Health tells when none "
	 "succeeded for two of them."},
    {.name = "sheet",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_pricing, sheet),
     .sub = &sheet_table,
     .flags = BF_INTERNAL,
     .audience = BF_FOR_PROXYD | BF_FOR_SUPERVISOR,
     .doc = "The price sheet."},
};

static const struct bf_table pricing_table = {
    .name = "framework.pricing",
    .size = sizeof(struct bf_conf_pricing),
    BF_ROWS(pricing_fields),
    .doc = "Where prices come from.",
};

static const struct bf_field framework_fields[] = {
    {.name = "pricing",
     .type = BF_T_OBJECT,
     .offset = 0,
     .sub = &pricing_table,
     .audience = BF_FOR_PROXYD | BF_FOR_WRITERD | BF_FOR_SUPERVISOR,
     .doc = "Where prices come from."},
};

const struct bf_table bf_framework_table = {
    .name = "framework",
    .size = sizeof(struct bf_conf_pricing),
    BF_ROWS(framework_fields),
    .doc = "What the gateway knows of models.",
};
