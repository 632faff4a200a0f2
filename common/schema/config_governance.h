/*
 * The governance block as the loader leaves it: who may use how much, and what models cost. Part of
 * config.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/config_auth.h"
#include "common/schema/config_prices.h"
#include "common/schema/field.h"

#define BF_BUDGET_MAX_NUSD (INT64_C(2000000000) * 1000000000) /* with an override */

/* What its owner may spend in a window. Amounts are nano-dollars. */
struct bf_conf_budget {
	struct bf_slice id;
	int64_t max_limit_nusd;         /* max_limit, in dollars */
	struct bf_slice reset_duration; /* see common/base/window.h */
	bool calendar_aligned;          /* here or at the key */
	uint64_t quarter_start_month;   /* reset_config.quarter_start_month; 1: January */
	struct bf_slice last_reset; /* RFC 3339; where rolling windows are anchored; empty: 1970 */
	/* More than max_limit for a time, 0: none. It ends at override_until_ms, or with so many
	 * windows from that of override_anchor_ms on; with neither when somebody ends it. */
	int64_t override_amount_nusd;
	uint64_t override_cycles; /* override_cycles_total */
	int64_t override_anchor_ms, override_until_ms;
	/* Owner: one of them in governance.budgets; all empty after loading. */
	struct bf_slice virtual_key_id, team_id, customer_id, provider_config_id, model_config_id;
};

enum bf_override_mode {
	BF_OVERRIDE_CYCLES,
	BF_OVERRIDE_FOREVER,
	BF_OVERRIDE_UNTIL,
};

/* What a client asks for. */
struct bf_conf_override {
	int64_t amount_nusd;
	int32_t mode; /* enum bf_override_mode */
	uint64_t cycles;
	int64_t until_ms;
};

/* Up to three limits with windows of their own; 0: no such limit. */
struct bf_conf_rate_limit {
	struct bf_slice id;
	int64_t token_max_limit;
	struct bf_slice token_reset_duration;
	struct bf_slice token_last_reset;
	int64_t request_max_limit;
	struct bf_slice request_reset_duration;
	struct bf_slice request_last_reset;
	int64_t concurrent_max_limit; /* ours: requests that run at once; has no window */
};

/* What every owner of limits has. After loading each has an id, and budgets holds its own and those
 * of governance.budgets that name it. */
struct bf_conf_owner {
	struct bf_slice id;
	struct bf_slice name;          /* as answers about limits show it */
	bool calendar_aligned;         /* of all its windows of a day and more */
	struct bf_slice rate_limit_id; /* empty: none */
	struct bf_array budgets;       /* of struct bf_conf_budget */
	/* Other forms of these; empty after loading: */
	struct bf_array budget;     /* one of budgets */
	struct bf_slice budget_id;  /* of one of governance.budgets that is this owner's */
	struct bf_array rate_limit; /* one of struct bf_conf_rate_limit; rate_limit_id names it
				       after loading */
};

struct bf_conf_customer {
	struct bf_conf_owner own;
};

struct bf_conf_team {
	struct bf_conf_owner own;
	struct bf_slice customer_id; /* empty: none */
};

/* What a virtual key may do at one provider. */
struct bf_conf_provider_config {
	struct bf_conf_owner own; /* name: the provider's, after loading */
	struct bf_slice provider;
	int64_t weight_micro;               /* BF_WEIGHT_NONE: takes no part in the choice */
	struct bf_array allowed_models;     /* of struct bf_slice; "*": all; none: none */
	struct bf_array blacklisted_models; /* counts before allowed_models */
	struct bf_array key_ids; /* ids or names of the provider's keys; "*": all; none: none */
};

#define BF_WEIGHT_NONE (-1)

/* Stored for the time that tools can be called. */
struct bf_conf_mcp_config {
	struct bf_slice mcp_client_name;
	struct bf_array tools_to_execute; /* of struct bf_slice */
};

enum bf_model_scope {
	BF_MODEL_GLOBAL,
	BF_MODEL_VIRTUAL_KEY,
};

/* Limits of a model, for everybody or for one key. */
struct bf_conf_model_config {
	struct bf_conf_owner own;   /* name: the model's, after loading */
	struct bf_slice model_name; /* without its provider; "*": any */
	struct bf_slice provider;   /* empty: any */
	int32_t scope;              /* enum bf_model_scope */
	struct bf_slice scope_id;   /* of the virtual key */
};

/* Limits of a provider, for everybody. */
struct bf_conf_provider_limits {
	struct bf_conf_owner own; /* name: the provider's; id: the same after loading */
};

struct bf_conf_virtual_key {
	struct bf_conf_owner own;
	struct bf_slice value;      /* secret; empty in entities */
	struct bf_slice value_hint; /* how it ends; of entities alone */
	struct bf_slice description;
	bool is_active;
	struct bf_slice team_id, customer_id; /* at most one; a team's customer counts too */
	struct bf_array provider_configs;     /* of struct bf_conf_provider_config */
	bool allow_all_providers;             /* those without a provider config too; after loading
						 also true of a key without any, unless the file
						 says version: 2 or false */
	struct bf_array mcp_configs;          /* of struct bf_conf_mcp_config */
	int64_t expires_at_ms;                /* since 1970; 0: never */
	bool delete_after_expire;
	int32_t disable_content_logging; /* enum bf_tristate; unset: as the client block says */
};

struct bf_conf_governance {
	struct bf_array customers;         /* of struct bf_conf_customer */
	struct bf_array teams;             /* of struct bf_conf_team */
	struct bf_array virtual_keys;      /* of struct bf_conf_virtual_key */
	struct bf_array model_configs;     /* of struct bf_conf_model_config */
	struct bf_array providers;         /* of struct bf_conf_provider_limits */
	struct bf_array rate_limits;       /* of struct bf_conf_rate_limit; after loading also those
					      that stood at their owners */
	struct bf_array budgets;           /* of struct bf_conf_budget; empty after loading: each
					      stands at its owner */
	struct bf_array pricing_overrides; /* of struct bf_conf_pricing_override; which one counts:
					      common/govern/price_book.h */
	int32_t unpriced_models;           /* enum bf_unpriced: those without a price */
	struct bf_conf_price default_price; /* for BF_UNPRICED_DEFAULT_PRICE */
	struct bf_conf_auth_config auth_config;
	struct bf_array api_keys;       /* of struct bf_conf_api_key */
	struct bf_array model_catalogs; /* of struct bf_model_catalog: model_catalog.h */
};
