/*
 * The tables of parameters. Named by the table of operations. Must never hold one that its handler
 * does not obey.
 */
#include "proxyd/api/queries.h"

#include "common/ipc/messages_entity.h"
#include "common/ipc/messages_logs.h"
#include "proxyd/gate/models.h"

#define ID_MAX     128
#define SEARCH_MAX 256

#define VERSION                                                                                  \
	{                                                                                        \
		.name = "expected_version",                                                      \
		.doc = "Refuse with 409 unless the entity has this version; also as the header " \
		       "If-Match, or as a member of the body.",                                  \
		.kind = API_NUMBER, .min = 1, .max = INT64_MAX                                   \
	}
#define TEXT(label, most, text)                                                 \
	{                                                                       \
		.name = (label), .doc = (text), .kind = API_TEXT, .max = (most) \
	}
#define PAGE_OF(usual)                 \
	{.name = "limit",              \
	 .doc = "Entities of a page.", \
	 .kind = API_NUMBER,           \
	 .min = 1,                     \
	 .max = BF_ENTITY_PAGE_MAX,    \
	 .dflt = (usual)},             \
	    OFFSET, SEARCH, MEMORY
#define PAGE PAGE_OF(QUERY_PAGE_DEFAULT)
#define OFFSET                                                                            \
	{                                                                                 \
		.name = "offset", .doc = "Entities before the page.", .kind = API_NUMBER, \
		.max = INT64_MAX                                                          \
	}
#define SEARCH TEXT("search", SEARCH_MAX, "A piece of the id or of the name, in either case.")
#define MEMORY                                                                               \
	{                                                                                    \
		.name = "from_memory",                                                       \
		.doc = "Taken for compatibility: what is shown is always what is in force.", \
		.kind = API_FLAG                                                             \
	}
#define END                  \
	{                    \
		.name = NULL \
	}

const struct api_parameter query_change[] = {VERSION, END};
const struct api_parameter query_reset[] = {
    VERSION,
    TEXT("limit_id", ID_MAX,
	 "Of one of its budgets, or of its rate limit; all of them when it is absent."),
    END,
};
const struct api_parameter query_show[] = {MEMORY, END};
const struct api_parameter query_config[] = {
    {.name = "from_db",
     .doc = "Taken for compatibility: what is shown is always what is in force.",
     .kind = API_FLAG},
    END,
};
const struct api_parameter query_page[] = {PAGE, END};
/* Bifrost's clients ask for all of them, and know no pages here. */
const struct api_parameter query_page_of_providers[] = {PAGE_OF(BF_ENTITY_PAGE_MAX), END};
const struct api_parameter query_page_of_keys[] = {
    {.name = "limit",
     .doc = "Entities of a page: at most 1,000, or 10,000 with export. 0, or without it: 50, or "
	    "10,000 with export.",
     .kind = API_NUMBER,
     .max = BF_ENTITY_EXPORT_MAX},
    OFFSET,
    SEARCH,
    MEMORY,
    TEXT("team_id", ID_MAX, "Those of this team."),
    TEXT("customer_id", ID_MAX, "Those of this customer, not through a team."),
    TEXT("provider", ID_MAX, "Those that have a provider config for this provider."),
    TEXT("sort_by", 16,
	 "name, created_at, status (those that are not active first) or budget_spent (the key's "
	 "own budget of which most was used), among at most 100,000 keys that match."),
    TEXT("order", 8, "asc or desc; asc when it is left out. Without sort_by: by created_at."),
    {.name = "export", .doc = "A page to be kept: it may be larger.", .kind = API_FLAG},
    END,
};
const struct api_parameter query_page_of_teams[] = {
    PAGE,
    TEXT("customer_id", ID_MAX, "Those of this customer."),
    END,
};
const struct api_parameter query_page_of_models[] = {
    PAGE,
    TEXT("scope", ID_MAX, "Those of this scope: global or virtual_key."),
    TEXT("scope_id", ID_MAX, "Those of this virtual key alone."),
    TEXT("virtual_key_id", ID_MAX, "The same, in place of scope_id."),
    TEXT("provider", ID_MAX, "Those that name this provider."),
    END,
};
const struct api_parameter query_page_of_prices[] = {
    PAGE,
    TEXT("scope_kind", ID_MAX, "Those of this scope, such as global or provider."),
    TEXT("virtual_key_id", ID_MAX, "Those of this virtual key alone."),
    TEXT("provider_id", ID_MAX, "Those that name this provider."),
    TEXT("provider", ID_MAX, "The same, in place of provider_id."),
    TEXT("provider_key_id", ID_MAX, "Those of this key of a provider alone."),
    END,
};
const struct api_parameter query_page_of_limits[] = {
    PAGE,
    TEXT("virtual_key_id", ID_MAX, "Those of this virtual key and its provider configs."),
    TEXT("team_id", ID_MAX, "Those of this team."),
    TEXT("customer_id", ID_MAX, "Those of this customer."),
    END,
};
/* What gate/logs_query.c and gate/explain.c read; said here for the documents. */
#define LOGS_FILTERS                                                                            \
	TEXT("providers", 4096, "Names, separated by commas."),                                 \
	    TEXT("models", 4096, "Names, separated by commas."),                                \
	    TEXT("status", 256, "success, error or processing, separated by commas."),          \
	    TEXT("stop_reasons", 4096, "Names, separated by commas."),                          \
	    TEXT("error_types", 4096, "Names, separated by commas."),                           \
	    TEXT("objects", 4096, "Names, separated by commas."),                               \
	    TEXT("selected_key_ids", 4096, "Ids, separated by commas."),                        \
	    TEXT("virtual_key_ids", 4096, "Ids, separated by commas."),                         \
	    TEXT("team_ids", 4096, "Ids, separated by commas."),                                \
	    TEXT("customer_ids", 4096, "Ids, separated by commas."),                            \
	    TEXT("request_id", 256, "What the client called its request."),                     \
	    TEXT("parent_request_id", 256, "Of the request that they belong to."),              \
	    TEXT("content_search", 256, "A piece of the prompt or of the answer."),             \
	    TEXT("start_time", 64, "RFC 3339, or seconds or milliseconds since 1970."),         \
	    TEXT("end_time", 64, "RFC 3339, or seconds or milliseconds since 1970."),           \
	    TEXT("period", 32, "In place of start_time: 15m, 24h or 7d until now."),            \
	    TEXT("min_latency", 32, "Milliseconds."), TEXT("max_latency", 32, "Milliseconds."), \
	    TEXT("min_tokens", 32, "Tokens of prompt and answer."),                             \
	    TEXT("max_tokens", 32, "Tokens of prompt and answer."),                             \
	    TEXT("min_cost", 32, "Dollars."), TEXT("max_cost", 32, "Dollars.")
const struct api_parameter query_logs[] = {
    LOGS_FILTERS,
    {.name = "limit",
     .doc = "Rows of a page.",
     .kind = API_NUMBER,
     .min = 1,
     .max = BF_ENTITY_PAGE_MAX,
     .dflt = QUERY_PAGE_DEFAULT},
    {.name = "offset", .doc = "Rows before the page.", .kind = API_NUMBER, .max = INT64_MAX},
    TEXT("sort_by", 16, "timestamp, latency, tokens or cost."),
    TEXT("order", 8, "desc or asc."),
    END,
};
const struct api_parameter query_stats[] = {LOGS_FILTERS, END};
const struct api_parameter query_filterdata[] = {
    TEXT("dimensions", 256, "Names of members of the answer, separated by commas; else all."),
    {.name = "limit",
     .doc = "Values of each.",
     .kind = API_NUMBER,
     .min = 1,
     .max = BF_LOGS_MAX_LIMIT,
     .dflt = BF_LOGS_MAX_LIMIT},
    END,
};
#define MODELS_FILTERS                                       \
	TEXT("provider", ID_MAX, "Those of this provider."), \
	    TEXT("query", SEARCH_MAX, "A piece of the name, in either case.")
#define MODELS_KEYS                                                                            \
	TEXT("keys", 4096,                                                                     \
	     "Ids or names of keys of providers, separated by commas: the models that one of " \
	     "them may ask, with the ids of those.")
#define MODELS_ALL                                                                       \
	{                                                                                \
		.name = "unfiltered",                                                    \
		.doc = "Also what is in a provider's list of models and no key serves; " \
		       "keys is not looked at.",                                         \
		.kind = API_FLAG                                                         \
	}
#define MODELS_PAGE(text, most, usual)                                                  \
	{.name = "limit",                                                               \
	 .doc = (text),                                                                 \
	 .kind = API_NUMBER,                                                            \
	 .min = 1,                                                                      \
	 .max = (most),                                                                 \
	 .dflt = (usual)},                                                              \
	{                                                                               \
		.name = "offset", .doc = "Models before the page.", .kind = API_NUMBER, \
		.max = INT64_MAX                                                        \
	}
const struct api_parameter query_models[] = {
    MODELS_FILTERS,
    MODELS_KEYS,
    MODELS_ALL,
    MODELS_PAGE("Models of a page; all of them when it is left out.", BF_ENTITY_PAGE_MAX, 0),
    END,
};
const struct api_parameter query_details[] = {
    MODELS_FILTERS,
    MODELS_KEYS,
    MODELS_ALL,
    MODELS_PAGE("Models of a page.", MODELS_DETAILS_MAX, 20),
    END,
};
const struct api_parameter query_base[] = {
    MODELS_FILTERS,
    MODELS_PAGE("Models of a page.", BF_ENTITY_PAGE_MAX, 20),
    END,
};
const struct api_parameter query_one_model[] = {
    {.name = "model",
     .doc = "Its name, best with the provider in front.",
     .kind = API_TEXT,
     .max = 256,
     .required = true},
    END,
};
const struct api_parameter query_sync[] = {
    {.name = "accept_smaller",
     .doc = "Also a sheet that has lost more than half of its models.",
     .kind = API_FLAG},
    END,
};
const struct api_parameter query_explain[] = {
    TEXT("virtual_key_id", ID_MAX,
	 "Whose request it would be; neither this nor the name: nobody's."),
    TEXT("virtual_key_name", ID_MAX, "The same by name."),
    {.name = "model",
     .doc = "As a request would name it.",
     .kind = API_TEXT,
     .max = 256,
     .required = true},
    TEXT("object", 32,
	 "chat.completion, text.completion, embedding or response; the first of them else."),
    {.name = "prompt_tokens",
     .doc = "Of the request.",
     .kind = API_NUMBER,
     .max = INT64_MAX,
     .dflt = 1},
    {.name = "max_tokens",
     .doc = "Of the answer.",
     .kind = API_NUMBER,
     .max = INT64_MAX,
     .dflt = 1},
    END,
};
