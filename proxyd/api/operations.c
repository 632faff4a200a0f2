/*
 * The table of operations. Looked through by the route table, by the handlers and by whoever
 * writes documents. Must never hold a rule that is not said here in words, because the words are
 * what clients are told.
 */
#include "proxyd/api/operations.h"

#include "proxyd/api/api.h"
#include "proxyd/api/handlers.h"
#include "proxyd/api/queries.h"
#include "proxyd/gate/explain.h"
#include "proxyd/gate/logs.h"

#define KEYS_DOC "Names and ids are those of one key among the keys of all providers."

#define ROUTE(m, p, fn)                                       \
	.route = {.method = EXCHANGE_##m,                     \
		  .path = BF_SLICE_INIT("/api/" p),           \
		  .dialect = ERROR_UNIFIED,                   \
		  .wants_body = EXCHANGE_##m != EXCHANGE_GET, \
		  .handle = (fn)}

/* What is done with entities of a type, below one path. things: "virtual-keys". */
#define OP_LIST(things, kind, label, what, params)                                                 \
	{                                                                                          \
		ROUTE(GET, things, api_look), .id = "list_" label, .tag = (what),                  \
					      .summary = "List " what ".", .parameters = (params), \
					      .type = (kind), .answer = API_ANSWER_PAGE,           \
					      .http_status = 200                                   \
	}
#define OP_CREATE(things, kind, label, what)                                                      \
	{                                                                                         \
		ROUTE(POST, things, api_change), .id = "create_" label, .tag = (what),            \
						 .summary = "Create one of the " what ".",        \
						 .type = (kind), .action = BF_ENTITY_CREATE,      \
						 .body = API_BODY_NEW,                            \
						 .answer = API_ANSWER_CHANGED, .http_status = 201 \
	}
#define OP_SHOW(things, kind, label, what)                                                      \
	{                                                                                       \
		ROUTE(GET, things "/{id}", api_look),                                           \
		    .id = "show_" label, .tag = (what), .summary = "Show one of the " what ".", \
		    .parameters = query_show, .type = (kind), .answer = API_ANSWER_ENTITY,      \
		    .http_status = 200                                                          \
	}
#define PARTS_DOC                                                                                \
	"Members that the body lacks stay as they are. budgets that are given replace all that " \
	"there were; an empty object in place of budgets or rate_limit removes them."
#define OP_UPDATE_AS(things, kind, label, what, text)                                        \
	{                                                                                    \
		ROUTE(PUT, things "/{id}", api_change),                                      \
		    .id = "update_" label, .tag = (what),                                    \
		    .summary = "Change one of the " what ".", .doc = (text),                 \
		    .parameters = query_change, .type = (kind), .action = BF_ENTITY_UPDATE,  \
		    .body = API_BODY_PARTS, .answer = API_ANSWER_CHANGED, .http_status = 200 \
	}
#define OP_UPDATE(things, kind, label, what) OP_UPDATE_AS(things, kind, label, what, PARTS_DOC)
#define OP_DELETE(things, kind, label, what)                                                   \
	{                                                                                      \
		ROUTE(DELETE, things "/{id}", api_change),                                     \
		    .id = "delete_" label, .tag = (what),                                      \
		    .summary = "Delete one of the " what ".",                                  \
		    .doc = "Refused with 409 while another entity names it.",                  \
		    .parameters = query_change, .type = (kind), .action = BF_ENTITY_DELETE,    \
		    .body = API_BODY_VERSION, .answer = API_ANSWER_MESSAGE, .http_status = 200 \
	}
#define OP_ROTATE(things, kind, label, what)                                                      \
	{                                                                                         \
		ROUTE(POST, things "/{id}/rotate", api_change),                                   \
		    .id = "rotate_" label, .tag = (what),                                         \
		    .summary = "Give one of the " what " a new value.",                           \
		    .doc =                                                                        \
			"It is shown in the answer and never again; the old one is unknown from " \
			"then on.",                                                               \
		    .parameters = query_change, .type = (kind), .action = BF_ENTITY_ROTATE,       \
		    .body = API_BODY_VERSION, .answer = API_ANSWER_CHANGED, .http_status = 200    \
	}
/* Of what may own limits. */
#define OPS_USAGE(things, kind, label, what)                                                     \
	{ROUTE(POST, things "/{id}/reset-usage", api_change),                                    \
	 .id = "reset_usage_of_" label,                                                          \
	 .tag = (what),                                                                          \
	 .summary = "Forgive what was used of the limits of one of the " what ".",               \
	 .doc = "What the rows of the present windows charged counts no more; what runs stays "  \
		"reserved and is charged when it ends. Nothing else changes: rows, windows and " \
		"the version of the entity stay as they are. With a logs store only.",           \
	 .parameters = query_reset,                                                              \
	 .type = (kind),                                                                         \
	 .action = BF_ENTITY_RESET_USAGE,                                                        \
	 .body = API_BODY_VERSION,                                                               \
	 .answer = API_ANSWER_OBJECT,                                                            \
	 .http_status = 200},                                                                    \
	    {ROUTE(PUT, things "/{id}/budgets/{budget_id}/override", api_change),                \
	     .id = "raise_budget_of_" label,                                                     \
	     .tag = (what),                                                                      \
	     .summary = "Raise a budget of one of the " what " for a time.",                     \
	     .doc = "In place of an override that there is. It ends by itself, by the clock of " \
		    "the budget's windows.",                                                     \
	     .parameters = query_change,                                                         \
	     .type = (kind),                                                                     \
	     .action = BF_ENTITY_BUDGET_OVERRIDE,                                                \
	     .body = API_BODY_OVERRIDE,                                                          \
	     .answer = API_ANSWER_OBJECT,                                                        \
	     .http_status = 200},                                                                \
	{                                                                                        \
		ROUTE(DELETE, things "/{id}/budgets/{budget_id}/override", api_change),          \
		    .id = "end_raise_of_" label, .tag = (what),                                  \
		    .summary = "End the override of a budget of one of the " what ".",           \
		    .parameters = query_change, .type = (kind),                                  \
		    .action = BF_ENTITY_BUDGET_OVERRIDE, .body = API_BODY_VERSION,               \
		    .answer = API_ANSWER_OBJECT, .http_status = 200                              \
	}
#define OPS_AS(things, kind, label, what, params, text)                                        \
	OP_LIST(things, kind, label, what, params), OP_CREATE(things, kind, label, what),      \
	    OP_SHOW(things, kind, label, what), OP_UPDATE_AS(things, kind, label, what, text), \
	    OP_DELETE(things, kind, label, what)
#define OPS(things, kind, label, what, params) OPS_AS(things, kind, label, what, params, PARTS_DOC)
const struct api_operation api_operations[] = {
    /* Longer fixed paths stand before those with a segment in their place. */
    {ROUTE(GET, "governance/virtual-keys/quota", api_quota), .id = "show_quota",
     .tag = "virtual keys", .summary = "Show what a virtual key may use, to its holder.",
     .doc = "The key itself is the credential, sent as in a request to a model. Answers from "
	    "wherever it is asked.",
     .type = BF_ENTITY_VIRTUAL_KEY, .access = API_SELF, .answer = API_ANSWER_OBJECT,
     .http_status = 200},
    {ROUTE(POST, "governance/virtual-keys/rotate", api_rotate), .id = "rotate_virtual_keys",
     .tag = "virtual keys", .summary = "Give several virtual keys new values.",
     .doc = "One after the other; those that are refused are named in errors, the others have "
	    "their new values.",
     .type = BF_ENTITY_VIRTUAL_KEY, .action = BF_ENTITY_ROTATE, .body = API_BODY_IDS,
     .answer = API_ANSWER_OBJECT, .http_status = 200},
    OP_ROTATE("governance/virtual-keys", BF_ENTITY_VIRTUAL_KEY, "virtual_key", "virtual keys"),
    OPS_AS("governance/virtual-keys", BF_ENTITY_VIRTUAL_KEY, "virtual_key", "virtual keys",
	   query_page_of_keys,
	   PARTS_DOC
	   " A team_id without customer_id takes the key from its customer, a customer_id "
	   "without team_id from its team; expires_at \"\" is null."),
    OPS_USAGE("governance/virtual-keys", BF_ENTITY_VIRTUAL_KEY, "virtual_key", "virtual keys"),
    OPS("governance/teams", BF_ENTITY_TEAM, "team", "teams", query_page_of_teams),
    OPS_USAGE("governance/teams", BF_ENTITY_TEAM, "team", "teams"),
    OPS("governance/customers", BF_ENTITY_CUSTOMER, "customer", "customers", query_page),
    OPS_USAGE("governance/customers", BF_ENTITY_CUSTOMER, "customer", "customers"),
    OPS("governance/model-configs", BF_ENTITY_MODEL_CONFIG, "model_config", "model configs",
	query_page_of_models),
    OPS_USAGE("governance/model-configs", BF_ENTITY_MODEL_CONFIG, "model_config", "model configs"),
    OP_LIST("governance/providers", BF_ENTITY_PROVIDER_LIMITS, "provider_limits",
	    "limits of providers", query_page),
    OP_SHOW("governance/providers", BF_ENTITY_PROVIDER_LIMITS, "provider_limits",
	    "limits of providers"),
    OP_UPDATE("governance/providers", BF_ENTITY_PROVIDER_LIMITS, "provider_limits",
	      "limits of providers"),
    OP_DELETE("governance/providers", BF_ENTITY_PROVIDER_LIMITS, "provider_limits",
	      "limits of providers"),
    OPS_USAGE("governance/providers", BF_ENTITY_PROVIDER_LIMITS, "provider_limits",
	      "limits of providers"),
    OPS_AS("governance/pricing-overrides", BF_ENTITY_PRICING_OVERRIDE, "pricing_override",
	   "pricing overrides", query_page_of_prices,
	   "Members that the body lacks stay as they are. Here and in what creates one, patch is "
	   "another name of pricing_patch."),
    {ROUTE(GET, "providers/{id}/keys", api_look), .id = "list_keys_of_provider", .tag = "providers",
     .summary = "List the keys of a provider, without their values.",
     .parameters = query_page_of_providers, .type = BF_ENTITY_PROVIDER, .parts = true,
     .plural = "keys", .answer = API_ANSWER_PAGE, .http_status = 200},
    {ROUTE(POST, "providers/{id}/keys", api_change), .id = "create_key_of_provider",
     .tag = "providers", .summary = "Give a provider another key.", .doc = KEYS_DOC,
     .type = BF_ENTITY_PROVIDER, .action = BF_ENTITY_CREATE, .parts = true, .body = API_BODY_NEW,
     .answer = API_ANSWER_CHANGED, .http_status = 201},
    {ROUTE(POST, "providers/{id}/keys/batch", api_change), .id = "update_keys_of_provider",
     .tag = "providers", .summary = "Use several keys of a provider, or stop using them.",
     .doc = "All of them or, when the provider has no such key, none.", .parameters = query_change,
     .type = BF_ENTITY_PROVIDER, .action = BF_ENTITY_UPDATE, .parts = true, .body = API_BODY_KEYS,
     .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(GET, "providers/{id}/keys/{key_id}", api_look), .id = "show_key_of_provider",
     .tag = "providers", .summary = "Show a key of a provider, without its value.",
     .parameters = query_show, .type = BF_ENTITY_PROVIDER, .parts = true,
     .answer = API_ANSWER_ENTITY, .http_status = 200},
    {ROUTE(PUT, "providers/{id}/keys/{key_id}", api_change), .id = "update_key_of_provider",
     .tag = "providers", .summary = "Change a key of a provider.",
     .doc = "Members that the body lacks stay as they are; a value in the form in which answers "
	    "show it is that which there is. " KEYS_DOC,
     .parameters = query_change, .type = BF_ENTITY_PROVIDER, .action = BF_ENTITY_UPDATE,
     .parts = true, .body = API_BODY_PARTS, .answer = API_ANSWER_CHANGED, .http_status = 200},
    {ROUTE(DELETE, "providers/{id}/keys/{key_id}", api_change), .id = "delete_key_of_provider",
     .tag = "providers", .summary = "Take a key from a provider.",
     .doc = "Requests that began with it end with it.", .parameters = query_change,
     .type = BF_ENTITY_PROVIDER, .action = BF_ENTITY_DELETE, .parts = true,
     .body = API_BODY_VERSION, .answer = API_ANSWER_MESSAGE, .http_status = 200},
    {ROUTE(POST, "providers/{id}/refresh-models", api_refresh_models), .id = "refresh_models",
     .tag = "lists of models", .summary = "Ask a provider which models it has, and keep its list.",
     .doc = "By its first key that serves any model and is up; what it says replaces the list that "
	    "there is, and is in force when this answers. 409 when it has no such key; 502 when it "
	    "refuses (its status is told, none of its words), cannot be reached, tells no list, or "
	    "one that cannot be kept whole (at most 4,096 models, whose names take 60,000 bytes), "
	    "and 504 when it takes too long: then the list stays as it is.",
     .parameters = query_change, .type = BF_ENTITY_MODEL_CATALOG, .action = BF_ENTITY_UPDATE,
     .body = API_BODY_VERSION, .answer = API_ANSWER_CHANGED, .http_status = 200},
    {ROUTE(POST, "providers/{id}/keys/{key_id}/refresh-models", api_refresh_models),
     .id = "refresh_models_by_key", .tag = "lists of models",
     .summary = "Ask a provider by one of its keys which models it has, and keep its list.",
     .doc = "Whatever models the key names. What the provider says replaces its whole list: there "
	    "is one for all its keys. 404 when it has no such key, 409 when that is not enabled; "
	    "else as without a key.",
     .parameters = query_change, .type = BF_ENTITY_MODEL_CATALOG, .action = BF_ENTITY_UPDATE,
     .body = API_BODY_VERSION, .answer = API_ANSWER_CHANGED, .http_status = 200},
    OP_LIST("providers", BF_ENTITY_PROVIDER, "provider", "providers", query_page_of_providers),
    OP_CREATE("providers", BF_ENTITY_PROVIDER, "provider", "providers"),
    OP_SHOW("providers", BF_ENTITY_PROVIDER, "provider", "providers"),
    {ROUTE(PUT, "providers/{id}", api_change), .id = "update_provider", .tag = "providers",
     .summary = "Change one of the providers.",
     .doc = "Members that the body lacks stay as they are. keys that are given replace all that "
	    "there were; one that is known by its id or name keeps its value when none is given. "
	    "New requests meet the change at once, those that run keep what they began with, so "
	    "that both together may exceed concurrency_and_buffer_size until they end.",
     .parameters = query_change, .type = BF_ENTITY_PROVIDER, .action = BF_ENTITY_UPDATE,
     .body = API_BODY_PARTS, .answer = API_ANSWER_CHANGED, .http_status = 200},
    OP_DELETE("providers", BF_ENTITY_PROVIDER, "provider", "providers"),
    {ROUTE(GET, "keys", api_look), .id = "list_keys", .tag = "providers",
     .summary = "List the keys of all providers, without their values.",
     .parameters = query_page_of_providers, .type = BF_ENTITY_PROVIDER, .parts = true,
     .plural = "keys", .answer = API_ANSWER_PAGE, .http_status = 200},
    {ROUTE(GET, "models", api_models), .id = "list_models", .tag = "providers",
     .summary = "List the models that providers are known to have.",
     .doc = "Those that their keys name, then those of their lists of models that a key serves.",
     .parameters = query_models, .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(GET, "models/details", api_model_details), .id = "list_model_details",
     .tag = "providers",
     .summary = "List the models that providers are known to have, with what price sheets tell of "
		"them.",
     .doc =
	 "Lengths in tokens, prices in dollars for a token; overridden_pricing has those that an "
	 "override for everybody or for the provider changes.",
     .parameters = query_details, .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(GET, "models/parameters", api_model_parameters), .id = "show_model_parameters",
     .tag = "providers", .summary = "Show what the price sheet tells of a model.",
     .doc = "Its lengths, what it can do, and all its prices as the sheet has them, without "
	    "overrides.",
     .parameters = query_one_model, .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(GET, "models/base", api_base_models), .id = "list_base_models", .tag = "providers",
     .summary = "List the base models that price sheets name, each once, by name.",
     .parameters = query_base, .answer = API_ANSWER_OBJECT, .http_status = 200},
    OP_LIST("models/catalog", BF_ENTITY_MODEL_CATALOG, "model_catalog", "lists of models",
	    query_page_of_providers),
    OP_SHOW("models/catalog", BF_ENTITY_MODEL_CATALOG, "model_catalog", "lists of models"),
    {ROUTE(PUT, "models/catalog/{id}", api_change), .id = "update_model_catalog",
     .tag = "lists of models", .summary = "Say which models a provider has.",
     .doc = "In place of the list that there is. Keys that serve any model serve these by their "
	    "bare names too; models that keys name themselves come before them.",
     .parameters = query_change, .type = BF_ENTITY_MODEL_CATALOG, .action = BF_ENTITY_UPDATE,
     .body = API_BODY_PARTS, .answer = API_ANSWER_CHANGED, .http_status = 200},
    OP_DELETE("models/catalog", BF_ENTITY_MODEL_CATALOG, "model_catalog", "lists of models"),
    {ROUTE(POST, "pricing/force-sync", api_price_sync), .id = "sync_prices", .tag = "prices",
     .summary = "Fetch the price sheet of framework.pricing.pricing_url now.",
     .doc =
	 "Answers 200 when it is in force, or has not changed; 202 when that takes longer than 8 "
	 "s; 502 when it could not be fetched or was refused: then prices stay as they are.",
     .parameters = query_sync, .body = API_BODY_VERSION, .answer = API_ANSWER_MESSAGE,
     .http_status = 200},
    {ROUTE(GET, "governance/rate-limits", api_look), .id = "list_rate_limits", .tag = "limits",
     .summary = "List rate limits, those that stand at their owners too.",
     .parameters = query_page_of_limits, .type = BF_ENTITY_RATE_LIMIT, .parts = true,
     .plural = "rate_limits", .answer = API_ANSWER_PAGE, .http_status = 200},
    {ROUTE(GET, "governance/budgets", api_look), .id = "list_budgets", .tag = "limits",
     .summary = "List budgets of all owners.", .parameters = query_page_of_limits, .parts = true,
     .plural = "budgets", .answer = API_ANSWER_PAGE, .http_status = 200},
    {ROUTE(GET, "governance/explain", explain_answer), .id = "explain", .tag = "limits",
     .summary = "Say what would become of a request, and why.",
     .doc = "Nothing is sent, reserved or counted.", .parameters = query_explain,
     .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(GET, "logs", logs_list), .id = "list_logs", .tag = "logs",
     .summary = "Search the rows of requests.", .parameters = query_logs,
     .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(GET, "logs/stats", logs_stats), .id = "show_log_stats", .tag = "logs",
     .summary = "Show the sums of the rows of a search.", .parameters = query_stats,
     .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(GET, "logs/filterdata", api_logs_filterdata), .id = "list_log_filters", .tag = "logs",
     .summary = "List what the rows hold that filters may name.",
     .doc = "Providers, models and status of the newest 100,000 rows, virtual keys, teams and "
	    "customers of all, the rest of the newest 5,000; keys and owners with the name that "
	    "they had last.",
     .parameters = query_filterdata, .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(GET, "logs/dropped", api_logs_dropped), .id = "show_dropped_logs", .tag = "logs",
     .summary = "Say how many requests have a row without their bodies for want of room.",
     .doc = "Since this node started; rows themselves are never dropped.",
     .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(GET, "logs/{id}", logs_show), .id = "show_log", .tag = "logs",
     .summary = "Show one row with its content.",
     .doc = "By the row's id, or by what the client called its request.",
     .answer = API_ANSWER_OBJECT, .http_status = 200},
    OPS("api-keys", BF_ENTITY_API_KEY, "api_key", "API keys", query_page),
    OP_ROTATE("api-keys", BF_ENTITY_API_KEY, "api_key", "API keys"),
    {ROUTE(GET, "auth-config", api_look), .id = "show_auth_config", .tag = "sessions",
     .summary = "Show who may log in.", .doc = "404 while there is no such configuration.",
     .parameters = query_show, .type = BF_ENTITY_AUTH_CONFIG, .only = BF_AUTH_CONFIG_ID,
     .answer = API_ANSWER_ENTITY, .http_status = 200},
    {ROUTE(PUT, "auth-config", api_change), .id = "update_auth_config", .tag = "sessions",
     .summary = "Say who may log in.",
     .doc = "Members that the body lacks stay as they are. Every change ends all sessions.",
     .parameters = query_change, .type = BF_ENTITY_AUTH_CONFIG, .only = BF_AUTH_CONFIG_ID,
     .action = BF_ENTITY_UPDATE, .body = API_BODY_PARTS, .answer = API_ANSWER_CHANGED,
     .http_status = 200},
    {ROUTE(POST, "session/login", api_login), .id = "login", .tag = "sessions",
     .summary = "Begin a session.",
     .doc = "The answer sets the cookie `token`, whose value also serves as Authorization: Bearer. "
	    "It lasts 30 days, until logout, or until the password changes. Wrong passwords are "
	    "counted by the address that the connection comes from: those who come through one "
	    "proxy share their tries; sessions and API keys are not counted.",
     .access = API_OPEN, .body = API_BODY_LOGIN, .answer = API_ANSWER_MESSAGE, .http_status = 200},
    {ROUTE(POST, "session/logout", api_logout), .id = "logout", .tag = "sessions",
     .summary = "End the session that the request carries, if it carries one.", .access = API_OPEN,
     .body = API_BODY_VERSION, .answer = API_ANSWER_MESSAGE, .http_status = 200},
    {ROUTE(GET, "session/is-auth-enabled", api_is_auth_enabled), .id = "is_auth_enabled",
     .tag = "sessions",
     .summary = "Say whether a login is needed, and whether this request carries one.",
     .access = API_OPEN, .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(GET, "config", api_config), .id = "show_config", .tag = "node",
     .summary = "Show the configuration of this node as its workers have it, without secrets.",
     .parameters = query_config, .answer = API_ANSWER_OBJECT, .http_status = 200},
    {ROUTE(PUT, "config", api_change), .id = "update_config", .tag = "node",
     .summary = "Change what is accepted from clients.",
     .doc = "Members that the body lacks stay as they are; the rest of the configuration stands in "
	    "the file. In place of client_config the body may hold auth_config alone: that is the "
	    "change of /api/auth-config.",
     .parameters = query_change, .type = BF_ENTITY_CLIENT_CONFIG, .action = BF_ENTITY_UPDATE,
     .member = "client_config",
     .instead = {"auth_config", BF_ENTITY_AUTH_CONFIG, BF_AUTH_CONFIG_ID}, .body = API_BODY_PARTS,
     .answer = API_ANSWER_CHANGED, .http_status = 200},
    {ROUTE(GET, "version", api_version), .id = "show_version", .tag = "node",
     .summary = "Say which version this is.", .answer = API_ANSWER_TEXT, .http_status = 200},
    {ROUTE(GET, "openapi.json", api_openapi), .id = "show_openapi", .tag = "node",
     .summary = "This document.", .answer = API_ANSWER_OBJECT, .http_status = 200},
};
const size_t api_operation_count = BF_ARRAY_LEN(api_operations);

_Static_assert(offsetof(struct api_operation, route) == 0, "x->route is the operation");

const struct route *api_route(struct bf_slice path, enum exchange_method method)
{
	for (size_t i = 0; i < api_operation_count; i++) {
		const struct route *r = &api_operations[i].route;

		if (r->method == method && route_matches(r->path, path))
			return r;
	}
	return NULL;
}

const char *api_method_name(enum exchange_method method)
{
	switch (method) {
	case EXCHANGE_GET:
		return "GET";
	case EXCHANGE_POST:
		return "POST";
	case EXCHANGE_PUT:
		return "PUT";
	case EXCHANGE_PATCH:
		return "PATCH";
	case EXCHANGE_DELETE:
		return "DELETE";
	case EXCHANGE_HEAD:
	case EXCHANGE_OPTIONS:
	case EXCHANGE_OTHER:
		break;
	}
	return "";
}
