/*
 * The description of budgets and rate limits, which stand at their owners or in lists of their own.
 * Part of the tables of config.c.
 */
#include "common/schema/config_owners.h"

#define COUNT_MAX    INT64_C(1000000000000000000) /* below 2^61, what a meter holds */
#define DURATION_MAX 64
#define CYCLES_MAX   10000

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

#define BUDGET_OWNER(member, text)                                                      \
	{                                                                               \
		.name = #member, .type = BF_T_STRING, BF_FIELD(bf_conf_budget, member), \
		.max = BF_ID_MAX, .audience = FOR_PROXYD_WRITERD, .doc = text,          \
	}

static const struct bf_field budget_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_budget, id),
     .max = BF_ID_MAX,
     .settle = bf_settle_label,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Identity, unique in the file; made from its owner and the window when absent. "
	    "Another window or id begins with what the rows of its owner say was used in it."},
    {.name = "max_limit",
     .type = BF_T_DECIMAL,
     BF_FIELD(bf_conf_budget, max_limit_nusd),
     .decimals = 9,
     .min = 0,
     .max = BF_BUDGET_MAX_NUSD,
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
	    "UTC; the number before the unit does not count. Also true when its owner says so."},
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
    {.name = "override_amount",
     .type = BF_T_DECIMAL,
     BF_FIELD(bf_conf_budget, override_amount_nusd),
     .decimals = 9,
     .dflt = "0",
     .min = 0,
     .max = BF_BUDGET_MAX_NUSD,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Dollars beyond max_limit, for a time. The API sets and ends it with "
	    "/budgets/{budget_id}/override of its owner; another change leaves it as it is unless "
	    "it gives another amount than 0."},
    {.name = "override_cycles_total",
     .type = BF_T_UINT,
     BF_FIELD(bf_conf_budget, override_cycles),
     .dflt = "0",
     .min = 0,
     .max = CYCLES_MAX,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Windows in which the override holds, from that of override_anchor_reset on; 0: it "
	    "does not end with a window."},
    {.name = "override_anchor_reset",
     .type = BF_T_TIME,
     BF_FIELD(bf_conf_budget, override_anchor_ms),
     .audience = FOR_PROXYD_WRITERD,
     .doc = "A moment in the first of these windows."},
    {.name = "override_until",
     .type = BF_T_TIME,
     BF_FIELD(bf_conf_budget, override_until_ms),
     .audience = FOR_PROXYD_WRITERD,
     .doc = "In place of windows: the moment at which the override ends."},
    BUDGET_OWNER(virtual_key_id, "The id of the virtual key that it limits."),
    BUDGET_OWNER(team_id, "The id of the team that it limits."),
    BUDGET_OWNER(customer_id, "The id of the customer that it limits."),
    BUDGET_OWNER(provider_config_id, "The id of the provider config of a key that it limits."),
    BUDGET_OWNER(model_config_id, "The id of the model config that it limits. One of these five "
				  "must be given in governance.budgets; elsewhere it stands at "
				  "its owner."),
};

const struct bf_table bf_budget_table = {
    .name = "governance.budgets",
    .size = sizeof(struct bf_conf_budget),
    BF_ROWS(budget_fields),
    .check = bf_budget_check,
    .doc = "What may be spent in a window.",
};

static const char *const override_modes[] = {"cycles", "forever", "until", NULL};

static const struct bf_field override_fields[] = {
    {.name = "amount",
     .type = BF_T_DECIMAL,
     BF_FIELD(bf_conf_override, amount_nusd),
     .decimals = 9,
     .min = 1,
     .max = BF_BUDGET_MAX_NUSD,
     .flags = BF_REQUIRED,
     .doc = "Dollars beyond max_limit."},
    {.name = "mode",
     .type = BF_T_ENUM,
     BF_FIELD(bf_conf_override, mode),
     .choices = override_modes,
     .dflt = "cycles",
     .doc = "cycles: it ends with a window; until: at a moment; forever: when it is deleted."},
    {.name = "cycles",
     .type = BF_T_UINT,
     BF_FIELD(bf_conf_override, cycles),
     .dflt = "0",
     .min = 0,
     .max = CYCLES_MAX,
     .doc = "How many windows it holds, the present one too; needed for mode cycles alone."},
    {.name = "until",
     .type = BF_T_TIME,
     BF_FIELD(bf_conf_override, until_ms),
     .doc = "When it ends, such as 2027-01-01T00:00:00Z; needed for mode until alone."},
};

const struct bf_table bf_override_table = {
    .name = "override",
    .size = sizeof(struct bf_conf_override),
    BF_ROWS(override_fields),
    .check = bf_override_check,
    .doc = "More than a budget has, for a time.",
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

#define LIMIT_ROWS                                                                           \
	LIMIT_MAX("request", request, "Successful requests in a window; 0: no such limit."), \
	    LIMIT_RESET("request", request, "Length of these windows, as in budgets."),      \
	    LIMIT_MAX("token", token,                                                        \
		      "Tokens in a window, those of prompt and answer; 0: no such limit."),  \
	    LIMIT_RESET("token", token, "Length of these windows, as in budgets."),          \
	    LIMIT_MAX("concurrent", concurrent, "Requests that run at once; 0: no such limit.")

static const struct bf_field rate_limit_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_rate_limit, id),
     .max = BF_ID_MAX,
     .settle = bf_settle_label,
     .flags = BF_REQUIRED,
     .audience = FOR_PROXYD_WRITERD,
     .doc = "Identity, unique in the file. Each owner that names it has its limits for itself. "
	    "Another window or id begins with what the rows of the owner say was used in it."},
    LIMIT_ROWS,
};

const struct bf_table bf_rate_limit_table = {
    .name = "governance.rate_limits",
    .size = sizeof(struct bf_conf_rate_limit),
    BF_ROWS(rate_limit_fields),
    .check = bf_rate_limit_check,
    .doc = "How much may be asked for.",
};

static const struct bf_field inline_rate_limit_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_rate_limit, id),
     .max = BF_ID_MAX,
     .settle = bf_settle_label,
     .doc = "Identity, unique in the file; made from its owner when absent."},
    LIMIT_ROWS,
};

const struct bf_table bf_inline_rate_limit_table = {
    .name = "governance.rate_limit",
    .size = sizeof(struct bf_conf_rate_limit),
    BF_ROWS(inline_rate_limit_fields),
    .check = bf_inline_rate_limit_check,
    .doc = "How much its owner may ask for.",
};
