/*
 * The description of prices: what a model costs, and what a file says over the price sheet. Part of
 * the tables of config.c. Only proxyd sees them.
 */
#include "common/schema/config_priv.h"

#define PUSD   INT64_C(1000000000000)
#define ID_MAX 128

#define TOKEN_PRICE(key, member, more, text)                                                       \
	{                                                                                          \
		.name = key, .type = BF_T_DECIMAL, BF_FIELD(bf_conf_price, member),                \
		.decimals = 12, .min = 0, .max = PUSD, .flags = (more), .audience = BF_FOR_PROXYD, \
		.doc = text,                                                                       \
	}

static const struct bf_field price_fields[] = {
    TOKEN_PRICE("input_cost_per_token", input_cost_per_token_pusd, BF_REQUIRED,
		"Dollars for a token of a prompt, such as 1.5e-07."),
    TOKEN_PRICE("output_cost_per_token", output_cost_per_token_pusd, BF_REQUIRED,
		"Dollars for a token of an answer; 0 for models that only embed."),
    TOKEN_PRICE("cache_read_input_token_cost", cache_read_input_token_cost_pusd, 0,
		"Dollars for a token of a prompt that the provider had in its cache; absent: "
		"input_cost_per_token."),
};

static const struct bf_table price_table = {
    .name = "governance.pricing_overrides.pricing_patch",
    .size = sizeof(struct bf_conf_price),
    BF_ROWS(price_fields),
    .doc = "What a token costs.",
};

/* By enum bf_price_scope and bf_price_match. Other scopes of Bifrost's are refused by name: rows of
 * unbuilt.c. */
static const char *const scope_kinds[] = {"global", "provider", NULL};
static const char *const match_types[] = {"exact", "wildcard", NULL};

static const struct bf_field pricing_override_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing_override, id),
     .max = ID_MAX,
     .audience = BF_FOR_PROXYD,
     .doc = "Identity; made from the name when absent."},
    {.name = "name",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing_override, name),
     .max = ID_MAX,
     .flags = BF_REQUIRED,
     .audience = BF_FOR_PROXYD,
     .doc = "Name of the price, unique in the file."},
    {.name = "scope_kind",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_pricing_override, scope_kind),
     .choices = scope_kinds,
     .dflt = "global",
     .audience = BF_FOR_PROXYD,
     .doc = "Where it holds: at every provider, or at the one of provider_id, which counts first."},
    {.name = "provider_id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing_override, provider_id),
     .max = BF_PROVIDER_NAME_MAX,
     .audience = BF_FOR_PROXYD,
     .doc = "Name of the provider, for scope_kind: provider."},
    {.name = "match_type",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_pricing_override, match_type),
     .choices = match_types,
     .dflt = "exact",
     .audience = BF_FOR_PROXYD,
     .doc = "How pattern is compared; exact counts before wildcard, then what stands first."},
    {.name = "pattern",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_pricing_override, pattern),
     .max = 256,
     .flags = BF_REQUIRED,
     .audience = BF_FOR_PROXYD,
     .doc = "Name of the model, without its provider; in a wildcard * stands for any text."},
    {.name = "pricing_patch",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_pricing_override, pricing_patch),
     .sub = &price_table,
     .flags = BF_REQUIRED,
     .audience = BF_FOR_PROXYD,
     .doc = "What a token costs."},
};

const struct bf_table bf_pricing_override_table = {
    .name = "governance.pricing_overrides",
    .size = sizeof(struct bf_conf_pricing_override),
    BF_ROWS(pricing_override_fields),
    .check = bf_pricing_override_check,
    .doc = "What models cost.",
};
