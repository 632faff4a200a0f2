/* The rows that the tables of the governance block share. Used only by the files that define them.
 */
#pragma once

#include "common/schema/config_priv.h"

#define FOR_PROXYD_WRITERD (BF_FOR_PROXYD | BF_FOR_WRITERD)

/* A row has whole ids and no longer ones: fields of shm/usage.h. Names are cut there and looked up.
 */
#define BF_ID_MAX   64
#define BF_NAME_MAX 128

extern const struct bf_table bf_budget_table;
extern const struct bf_table bf_override_table; /* of no file: what the API is asked for */
extern const struct bf_table bf_rate_limit_table;
extern const struct bf_table bf_inline_rate_limit_table;
extern const struct bf_table bf_virtual_key_table;
extern const struct bf_table bf_customer_table;
extern const struct bf_table bf_team_table;
extern const struct bf_table bf_model_config_table;
extern const struct bf_table bf_provider_limits_table;

/* The structs that have it have it first: complete_owners.c goes by that too. */
#define BF_OWN_ID(type_, text)                                                                \
	{                                                                                     \
		.name = "id", .type = BF_T_STRING, BF_FIELD(type_, own.id), .max = BF_ID_MAX, \
		.settle = bf_settle_label, .audience = FOR_PROXYD_WRITERD, .doc = text,       \
	}

#define BF_OWN_NAME(type_, text)                                                     \
	{                                                                            \
		.name = "name", .type = BF_T_STRING, BF_FIELD(type_, own.name),      \
		.max = BF_NAME_MAX, .settle = bf_settle_label, .flags = BF_REQUIRED, \
		.audience = FOR_PROXYD_WRITERD, .doc = text,                         \
	}

/* What every owner of limits has. */
#define BF_OWN_LIMITS(type_)                                                                    \
	{.name = "calendar_aligned",                                                            \
	 .type = BF_T_BOOL,                                                                     \
	 BF_FIELD(type_, own.calendar_aligned),                                                 \
	 .dflt = "false",                                                                       \
	 .audience = FOR_PROXYD_WRITERD,                                                        \
	 .doc = "All its windows of a day and more follow the calendar, as in budgets."},       \
	    {.name = "rate_limit_id",                                                           \
	     .type = BF_T_STRING,                                                               \
	     BF_FIELD(type_, own.rate_limit_id),                                                \
	     .max = BF_ID_MAX,                                                                  \
	     .audience = FOR_PROXYD_WRITERD,                                                    \
	     .doc = "The id of a rate limit in rate_limits."},                                  \
	    {.name = "budgets",                                                                 \
	     .type = BF_T_LIST,                                                                 \
	     BF_FIELD(type_, own.budgets),                                                      \
	     .sub = &bf_budget_table,                                                           \
	     .max = BF_KEY_BUDGETS_MAX,                                                         \
	     .audience = FOR_PROXYD_WRITERD,                                                    \
	     .doc = "What may be spent, with windows of different lengths; all of them hold."}, \
	    {.name = "budget",                                                                  \
	     .type = BF_T_LIST,                                                                 \
	     BF_FIELD(type_, own.budget),                                                       \
	     .sub = &bf_budget_table,                                                           \
	     .max = 1,                                                                          \
	     .flags = BF_HIDDEN | BF_OR_ONE,                                                    \
	     .doc = "A single budget: older form of budgets."},                                 \
	    {.name = "budget_id",                                                               \
	     .type = BF_T_STRING,                                                               \
	     BF_FIELD(type_, own.budget_id),                                                    \
	     .max = BF_ID_MAX,                                                                  \
	     .flags = BF_HIDDEN,                                                                \
	     .doc = "The id of a budget in budgets that is its own: older form of budgets."},   \
	{                                                                                       \
		.name = "rate_limit", .type = BF_T_LIST, BF_FIELD(type_, own.rate_limit),       \
		.sub = &bf_inline_rate_limit_table, .max = 1, .flags = BF_HIDDEN | BF_OR_ONE,   \
		.doc = "The rate limit itself, in place of rate_limit_id.",                     \
	}
