/*
 * The description of those who have limits and are no keys: customers, teams, models and providers
 * for everybody. Part of the tables of config.c.
 */
#include "common/schema/config_owners.h"

static const struct bf_field customer_fields[] = {
    BF_OWN_ID(bf_conf_customer,
	      "Identity in rows and of its limits; made from the name when absent."),
    BF_OWN_NAME(bf_conf_customer,
		"Name of the customer, unique in the file; answers about limits show it."),
    BF_OWN_LIMITS(bf_conf_customer),
};

const struct bf_table bf_customer_table = {
    .name = "governance.customers",
    .size = sizeof(struct bf_conf_customer),
    BF_ROWS(customer_fields),
    .doc = "Those to whom teams and keys belong, and what all of these may use together.",
};

static const struct bf_field team_fields[] = {
    BF_OWN_ID(bf_conf_team, "Identity in rows and of its limits; made from the name when absent."),
    BF_OWN_NAME(bf_conf_team,
		"Name of the team, unique in the file; answers about limits show it."),
    {.name = "customer_id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_team, customer_id),
     .max = BF_ID_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "The id of the customer that it belongs to."},
    BF_OWN_LIMITS(bf_conf_team),
};

const struct bf_table bf_team_table = {
    .name = "governance.teams",
    .size = sizeof(struct bf_conf_team),
    BF_ROWS(team_fields),
    .doc = "Those to whom keys belong, and what all of these may use together.",
};

/* By enum bf_model_scope. Other scopes of Bifrost's are refused by name: rows of unbuilt.c. */
static const char *const model_scopes[] = {"global", "virtual_key", NULL};

static const struct bf_field model_config_fields[] = {
    BF_OWN_ID(bf_conf_model_config,
	      "Identity of its limits; made from scope, provider and model when absent."),
    {.name = "model_name",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_model_config, model_name),
     .max = BF_MODEL_NAME_MAX,
     .settle = bf_settle_model_name,
     .flags = BF_REQUIRED,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Name of the model, or * for any."},
    {.name = "provider",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_model_config, provider),
     .max = BF_PROVIDER_NAME_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Name of the provider; absent: any."},
    {.name = "scope",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_model_config, scope),
     .choices = model_scopes,
     .dflt = "global",
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Whose requests it limits: all together, or those of the virtual key scope_id."},
    {.name = "scope_id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_model_config, scope_id),
     .max = BF_ID_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "The id of the virtual key, for scope: virtual_key."},
    BF_OWN_LIMITS(bf_conf_model_config),
};

const struct bf_table bf_model_config_table = {
    .name = "governance.model_configs",
    .size = sizeof(struct bf_conf_model_config),
    BF_ROWS(model_config_fields),
    .check = bf_model_config_check,
    .doc = "Limits of models, for all requests or for those of a key.",
};

static const struct bf_field provider_limits_fields[] = {
    BF_OWN_NAME(bf_conf_provider_limits, "Name of the provider."),
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_provider_limits, own.id),
     .max = BF_ID_MAX,
     .flags = BF_INTERNAL,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "The name."},
    BF_OWN_LIMITS(bf_conf_provider_limits),
};

const struct bf_table bf_provider_limits_table = {
    .name = "governance.providers",
    .size = sizeof(struct bf_conf_provider_limits),
    BF_ROWS(provider_limits_fields),
    .doc = "Limits of providers, for all requests to them.",
};
