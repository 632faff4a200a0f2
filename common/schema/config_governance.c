/*
 * The description of the governance block: virtual keys, what they may use, what models cost. Part
 * of the tables of config.c. Only proxyd ever sees the value of a key; writerd makes the same plan
 * of limits and sees the rest.
 */
#include "common/schema/config_priv.h"

#define FOR_PROXYD_WRITERD (BF_FOR_PROXYD | BF_FOR_WRITERD)

#define COUNT_MAX    INT64_C(1000000000000000000) /* below 2^61, what a meter holds */
#define DOLLARS_MAX  INT64_C(2000000000)
#define NUSD         INT64_C(1000000000)
#define ID_MAX       128
#define DURATION_MAX 64

static const struct bf_field reset_config_fields[] = {
    {.name = "quarter_start_month",
     .type = BF_T_UINT,
     .min = 1,
     .max = 12,
     .dflt = "1",
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Month in which a quarter begins, for windows of 1Q that follow the calendar."},
};

static const struct bf_table reset_config_table = {
    .name = "governance.budgets.reset_config",
    .size = sizeof(uint64_t),
    BF_ROWS(reset_config_fields),
    .doc = "How windows follow the calendar.",
};

static const struct bf_field budget_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_budget, id),
     .max = ID_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Identity, unique in the file; made from the key and the window when absent. Another "
	    "window or id begins with what the rows of the key say was used in it."},
    {.name = "max_limit",
     .type = BF_T_DECIMAL,
     BF_FIELD(bf_conf_budget, max_limit_nusd),
     .decimals = 9,
     .min = 0,
     .max = DOLLARS_MAX * NUSD,
     .flags = BF_REQUIRED,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Dollars that may be spent in a window."},
    {.name = "reset_duration",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_budget, reset_duration),
     .max = DURATION_MAX,
     .settle = bf_settle_window,
     .flags = BF_REQUIRED,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Length of the windows: 30s, 5m, 1h30m, a number of d, w, M (30 days), Q (90 days) or "
	    "Y (365 days), or daily, weekly, monthly, yearly."},
    {.name = "calendar_aligned",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_budget, calendar_aligned),
     .dflt = "false",
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Windows are days, weeks from Monday, months, quarters or years of the calendar, in "
	    "UTC; the number before the unit does not count. Also true when the key says so."},
    {.name = "reset_config",
     .type = BF_T_OBJECT,
     BF_FIELD(bf_conf_budget, quarter_start_month),
     .sub = &reset_config_table,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "How windows follow the calendar."},
    {.name = "last_reset",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_budget, last_reset),
     .max = DURATION_MAX,
     .settle = bf_settle_moment,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "A moment at which a window began, as 2026-11-21T10:00:00Z, for windows that do not "
	    "follow the calendar; absent: the beginning of 1970."},
    {.name = "virtual_key_id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_budget, virtual_key_id),
     .max = ID_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "The id of the virtual key that it limits; within a virtual key that one."},
};

static const struct bf_table budget_table = {
    .name = "governance.budgets",
    .size = sizeof(struct bf_conf_budget),
    BF_ROWS(budget_fields),
    .doc = "What may be spent in a window.",
};

#define LIMIT_MAX(what, member, text)                                                         \
	{                                                                                     \
		.name = what "_max_limit", .type = BF_T_INT,                                  \
		BF_FIELD(bf_conf_rate_limit, member##_max_limit), .min = 0, .max = COUNT_MAX, \
		.dflt = "0", .audience = FOR_PROXYD_WRITERD, .doc = text,                     \
	}

#define LIMIT_RESET(what, member, text)                                                 \
	{                                                                               \
	    .name = what "_reset_duration",                                             \
	    .type = BF_T_STRING,                                                        \
	    BF_FIELD(bf_conf_rate_limit, member##_reset_duration),                      \
	    .max = DURATION_MAX,                                                        \
	    .settle = bf_settle_window,                                                 \
	    .audience = FOR_PROXYD_WRITERD,                                             \
	    .doc = text,                                                                \
	},                                                                              \
	{                                                                               \
		.name = what "_last_reset", .type = BF_T_STRING,                        \
		BF_FIELD(bf_conf_rate_limit, member##_last_reset), .max = DURATION_MAX, \
		.settle = bf_settle_moment, .audience = FOR_PROXYD_WRITERD,             \
		.doc = "A moment at which a window began, as in budgets.",              \
	}

static const struct bf_field rate_limit_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_rate_limit, id),
     .max = ID_MAX,
     .flags = BF_REQUIRED,
     .audience = FOR_PROXYD_WRITERD,
     .doc =
	 "Identity, unique in the file. Each key that names it has its limits for itself. Another "
	 "window or id begins with what the rows of the key say was used in it."},
    LIMIT_MAX("request", request, "Successful requests in a window; 0: no such limit."),
    LIMIT_RESET("request", request, "Length of these windows, as in budgets."),
    LIMIT_MAX("token", token, "Tokens in a window, those of prompt and answer; 0: no such limit."),
    LIMIT_RESET("token", token, "Length of these windows, as in budgets."),
    LIMIT_MAX("concurrent", concurrent, "Requests that run at once; 0: no such limit."),
};

static const struct bf_table rate_limit_table = {
    .name = "governance.rate_limits",
    .size = sizeof(struct bf_conf_rate_limit),
    BF_ROWS(rate_limit_fields),
    .check = bf_rate_limit_check,
    .doc = "How much may be asked for.",
};

static const struct bf_field virtual_key_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_virtual_key, own.id),
     .max = ID_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Identity in rows and of its limits; made from the name when absent."},
    {.name = "name",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_virtual_key, own.name),
     .max = ID_MAX,
     .flags = BF_REQUIRED,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Name of the key, unique in the file; answers about limits show it."},
    {.name = "value",
     .type = BF_T_SECRET,
     BF_FIELD(bf_conf_virtual_key, value),
     .max = 1024,
     .settle = bf_settle_virtual_key,
     .audience = BF_FOR_PROXYD,
     .doc = "The secret that clients send, as x-bf-vk or where the API of a provider has its key; "
	    "best as env.NAME or file.PATH. It never goes upstream."},
    {.name = "description",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_virtual_key, description),
     .max = 1024,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "A note for people."},
    {.name = "is_active",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_virtual_key, is_active),
     .dflt = "true",
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Whether the key may be used; false answers 403."},
    {.name = "calendar_aligned",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_virtual_key, own.calendar_aligned),
     .dflt = "false",
     .audience = FOR_PROXYD_WRITERD,
     .doc = "All its windows of a day and more follow the calendar, as in budgets."},
    {.name = "rate_limit_id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_virtual_key, own.rate_limit_id),
     .max = ID_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "The id of a rate limit in rate_limits."},
    {.name = "budgets",
     .type = BF_T_LIST,
     BF_FIELD(bf_conf_virtual_key, own.budgets),
     .sub = &budget_table,
     .max = BF_KEY_BUDGETS_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "What may be spent with it, with windows of different lengths; all of them hold."},
    {.name = "budget",
     .type = BF_T_LIST,
     BF_FIELD(bf_conf_virtual_key, own.budget),
     .sub = &budget_table,
     .max = 1,
     .flags = BF_HIDDEN | BF_OR_ONE,
     .doc = "A single budget: older form of budgets."},
};

static const struct bf_table virtual_key_table = {
    .name = "governance.virtual_keys",
    .size = sizeof(struct bf_conf_virtual_key),
    BF_ROWS(virtual_key_fields),
    .doc = "Keys that clients send, and what they may use.",
};

static const struct bf_field governance_fields[] = {
    {.name = "virtual_keys",
     .type = BF_T_LIST,
     BF_FIELD(bf_conf_governance, virtual_keys),
     .sub = &virtual_key_table,
     .max = BF_VIRTUAL_KEYS_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Keys that clients send, and what they may use."},
    {.name = "rate_limits",
     .type = BF_T_LIST,
     BF_FIELD(bf_conf_governance, rate_limits),
     .sub = &rate_limit_table,
     .max = BF_VIRTUAL_KEYS_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "How much may be asked for, by id."},
    {.name = "budgets",
     .type = BF_T_LIST,
     BF_FIELD(bf_conf_governance, budgets),
     .sub = &budget_table,
     .max = BF_BUDGETS_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "What may be spent, when it does not stand at its key."},
    {.name = "pricing_overrides",
     .type = BF_T_LIST,
     BF_FIELD(bf_conf_governance, pricing_overrides),
     .sub = &bf_pricing_override_table,
     .max = BF_PRICES_MAX,
     .audience = BF_FOR_PROXYD,
     .doc = "What models cost. A key with a budget can use only models that have a price here."},
};

const struct bf_table bf_governance_table = {
    .name = "governance",
    .size = sizeof(struct bf_conf_governance),
    BF_ROWS(governance_fields),
    .doc = "Who may use how much. A client sends a virtual key; each of its limits holds over all "
	   "workers, and what a request may use is reserved before it is sent.",
};
