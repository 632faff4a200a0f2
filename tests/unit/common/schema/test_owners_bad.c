/* Owners of limits in a file: what is said of bad ones, word by word, and what is only warned of.
 */
#include "load_bed.h"

struct bad {
	const char *governance, *lines;
};

#define PRICE                                                                            \
	"  pricing_overrides: [{name: p, pattern: m, request_types: [chat_completion], " \
	"pricing_patch: {input_cost_per_token: 0, output_cost_per_token: 0}}]\n"

static void check_bad(const struct bad *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char yaml[2048];

		(void)snprintf(yaml, sizeof(yaml),
			       "governance:\n%s\n" PRICE
			       "providers: {mock: {}, groq: {keys: [{name: first, value: x}]}}\n",
			       cases[i].governance);
		bed_says(yaml, cases[i].lines);
	}
}

static void bad_customers_and_teams(void **state)
{
	static const struct bad cases[] = {
	    {"  teams: [{id: t}]",
	     "x.yaml:2:11: error: governance.teams[0]: \"name\" is missing: add it\n"},
	    {"  teams: [{name: a}, {name: a}]", "x.yaml:2:29: error: the team name \"a\" stands in "
						"line 2 already: every team needs its own\n"},
	    {"  teams: [{name: a, id: x}, {name: b, id: x}]",
	     "x.yaml:2:43: error: the team id \"x\" stands in line 2 already: every team needs its "
	     "own\n"},
	    {"  customers: [{name: a}, {name: a}]",
	     "x.yaml:2:33: error: the customer name \"a\" stands in line 2 already: every customer "
	     "needs its own\n"},
	    {"  customers: [{id: acme, name: a}]\n  teams: [{name: t, customer_id: acne}]",
	     "x.yaml:3:34: error: governance.teams[0].customer_id: no customer has the id "
	     "\"acne\": did you mean \"acme\"?\n"},
	    {"  customers: [{name: acme}]\n  teams: [{name: t, customer_id: acme}]",
	     "x.yaml:3:34: error: governance.teams[0].customer_id: no customer has the id "
	     "\"acme\", but one has the name: give it that id too\n"},
	    {"  teams: [{name: t, customer_id: nobody}]",
	     "x.yaml:2:34: error: governance.teams[0].customer_id: no customer has the id "
	     "\"nobody\": give it to one, or mend this one\n"},
	    {"  customers: 5\n  teams: [{name: t, customer_id: nobody}]",
	     "x.yaml:2:14: error: governance.customers: must be a list, not a number\n"},
	    {"  teams: [{name: t, claims: {a: b}}]",
	     "x.yaml:2:21: error: governance.teams[0].claims is not part of this build and would "
	     "not be enforced: remove it, or list \"governance.teams.claims\" in "
	     "supervisor.accept_unbuilt to start without it\n"},
	    {"  teams: [{name: t, profile: {a: b}}]",
	     "x.yaml:2:21: warning: governance.teams[0].profile is not part of this build and has "
	     "no effect\n"},
	    {"  teams: [{name: t, busines_unit_id: x}]",
	     "x.yaml:2:21: error: unknown key \"busines_unit_id\" in governance.teams[0]: did you "
	     "mean \"business_unit_id\"?\n"},
	    {"  teams: [{name: t, nobody: x}]",
	     "x.yaml:2:21: error: unknown key \"nobody\" in governance.teams[0]: valid here: id, "
	     "name, customer_id, calendar_aligned, rate_limit_id, budgets, budget, budget_id, "
	     "rate_limit\n"},
	    {"  teams: [{name: t, rate_limit_id: r}]",
	     "x.yaml:2:36: error: governance.teams[0].rate_limit_id: no rate limit has the id "
	     "\"r\": add it to governance.rate_limits, or remove rate_limit_id\n"},
	    {"  rate_limits: [{id: usual, concurrent_max_limit: 1}]\n"
	     "  teams: [{name: t, rate_limit_id: usaul}, {name: s, rate_limit_id: usual}]",
	     "x.yaml:3:36: error: governance.teams[0].rate_limit_id: no rate limit has the id "
	     "\"usaul\": did you mean \"usual\"?\n"},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

#define SIXTEEN    "0123456789abcdef"
#define SIXTY_FOUR SIXTEEN SIXTEEN SIXTEEN SIXTEEN
#define LONG_ID(where, col) \
	"x.yaml:2:" col ": error: governance." where ".id: must have at most 64 bytes, not 65\n"
#define CONTROL(where, col)                                                                       \
	"x.yaml:2:" col ": error: governance." where ": has a control character, such as a line " \
	"break or a tab: remove it\n"

/* What stands in rows, on terminals and in metrics. */
static void bad_ids_and_names(void **state)
{
	static const struct bad cases[] = {
	    {"  teams: [{name: '" SIXTY_FOUR SIXTY_FOUR "', id: '" SIXTY_FOUR "'}]", ""},
	    {"  teams: [{id: '" SIXTY_FOUR "x', name: t}]", LONG_ID("teams[0]", "16")},
	    {"  customers: [{id: '" SIXTY_FOUR "x', name: t}]", LONG_ID("customers[0]", "20")},
	    {"  virtual_keys: [{id: '" SIXTY_FOUR "x', name: t, value: v}]",
	     LONG_ID("virtual_keys[0]", "23")},
	    {"  teams: [{name: \"a\\tb\"}]", CONTROL("teams[0].name", "18")},
	    /* What looks like the name of another, from its end. */
	    {"  teams: [{name: \"a\\u202Eb\"}]", CONTROL("teams[0].name", "18")},
	    {"  teams: [{name: \"\\u2066\"}]", CONTROL("teams[0].name", "18")},
	    {"  teams: [{name: \"a\\u2028\"}]", CONTROL("teams[0].name", "18")},
	    {"  teams: [{id: \"a\\nb\", name: t}]", CONTROL("teams[0].id", "16")},
	    {"  customers: [{name: \"\\x7f\"}]", CONTROL("customers[0].name", "22")},
	    {"  virtual_keys: [{name: \"\\N\", value: v}]", CONTROL("virtual_keys[0].name", "25")},
	    {"  rate_limits: [{id: \"\\e[1m\", concurrent_max_limit: 1}]",
	     CONTROL("rate_limits[0].id", "22")},
	    {"  teams: [{name: t, budgets: [{id: \"\\u009f\", max_limit: 1, reset_duration: 1d}]}]",
	     CONTROL("teams[0].budgets[0].id", "36")},
	    {"  teams: [{name: \"caf\\xe9\\xa0\\u0430\"}]", ""},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

#define KEY(more) "  virtual_keys: [{id: k, name: a, value: b, " more "}]"
#define CONFIG(more) \
	KEY("provider_configs: [{provider: groq, allowed_models: '*', key_ids: '*', " more "}]")

static void bad_keys(void **state)
{
	static const struct bad cases[] = {
	    {"  customers: [{id: c, name: c}]\n  teams: [{id: t, name: t}]\n" KEY(
		 "team_id: t, customer_id: c"),
	     "x.yaml:4:18: error: governance.virtual_keys[0]: has team_id and customer_id: keep "
	     "one of them; the customer of its team counts anyway\n"},
	    {"  teams: [{id: blue, name: b}]\n" KEY("team_id: bleu"),
	     "x.yaml:3:54: error: governance.virtual_keys[0].team_id: no team has the id \"bleu\": "
	     "did you mean \"blue\"?\n"},
	    {KEY("customer_id: x"),
	     "x.yaml:2:58: error: governance.virtual_keys[0].customer_id: no customer has the id "
	     "\"x\": give it to one, or mend this one\n"},
	    {KEY("expires_at: tomorrow"),
	     "x.yaml:2:57: error: governance.virtual_keys[0].expires_at: must be a time such as "
	     "2026-11-21T10:00:00Z, not \"tomorrow\"\n"},
	    {KEY("expires_at: 1970-01-01T00:00:00Z"),
	     "x.yaml:2:57: error: governance.virtual_keys[0].expires_at: must be a time such as "
	     "2026-11-21T10:00:00Z, not \"1970-01-01T00:00:00Z\"\n"},
	    {KEY("disable_content_logging: maybe"),
	     "x.yaml:2:70: error: governance.virtual_keys[0].disable_content_logging: must be true "
	     "or false, not \"maybe\"\n"},
	    {KEY("disable_content_logging: []"),
	     "x.yaml:2:70: error: governance.virtual_keys[0].disable_content_logging: must be true "
	     "or false, not a list\n"},
	    {KEY("expires_at: []"), "x.yaml:2:57: error: governance.virtual_keys[0].expires_at: "
				    "must be a time such as 2026-11-21T10:00:00Z, not a list\n"},
	    {KEY("mcp_configs: [{mcp_client_name: m, tools_to_execute: ['*']}]"),
	     "x.yaml:2:58: warning: governance.virtual_keys[0].mcp_configs: has no effect: this "
	     "build calls no tools\n"},
	    {KEY("delete_after_expire: true"),
	     "x.yaml:2:66: warning: governance.virtual_keys[0].delete_after_expire: has no effect "
	     "without expires_at\n"},
	    {KEY("mcp_configs: [{tools_to_execute: ['*']}]"),
	     "x.yaml:2:59: error: governance.virtual_keys[0].mcp_configs[0]: \"mcp_client_name\" "
	     "is missing: add it\n"},
	    {KEY("mcp_configs: [{mcp_client_id: i, mcp_client_name: m}]"),
	     "x.yaml:2:60: error: governance.virtual_keys[0].mcp_configs[0].mcp_client_id is not "
	     "part of this build and would not be enforced: remove it, or list "
	     "\"governance.virtual_keys.mcp_configs.mcp_client_id\" in supervisor.accept_unbuilt "
	     "to start without it\n"},
	    {KEY("provider_configs: [{provider: gorq, allowed_models: '*', key_ids: '*'}]"),
	     "x.yaml:2:75: error: governance.virtual_keys[0].provider_configs[0].provider: no "
	     "provider has the name \"gorq\": did you mean \"groq\"?\n"},
	    {KEY("provider_configs: [{provider: nobody, allowed_models: '*', key_ids: '*'}]"),
	     "x.yaml:2:75: error: governance.virtual_keys[0].provider_configs[0].provider: no "
	     "provider has the name \"nobody\": add it to providers, or remove this\n"},
	    {KEY("provider_configs: [{allowed_models: '*', key_ids: '*'}]"),
	     "x.yaml:2:64: error: governance.virtual_keys[0].provider_configs[0]: \"provider\" is "
	     "missing: add it\n"},
	    {KEY("provider_configs: [{provider: mock, allowed_models: '*'}, {provider: mock, "
		 "allowed_models: '*'}]"),
	     "x.yaml:2:114: error: governance.virtual_keys[0].provider_configs[1].provider: "
	     "\"mock\" has a provider config in line 2 already: make one of both\n"},
	    {CONFIG("weight: 1.5"),
	     "x.yaml:2:124: error: governance.virtual_keys[0].provider_configs[0].weight: must be "
	     "from 0 to 1, not \"1.5\"\n"},
	    {CONFIG("weight: -0.000001"),
	     "x.yaml:2:124: error: governance.virtual_keys[0].provider_configs[0].weight: must be "
	     "from 0 to 1, not \"-0.000001\"\n"},
	    {CONFIG("blacklisted_models: ['gpt-*', 'regex:gpt.*', '']"),
	     "x.yaml:2:137: error: "
	     "governance.virtual_keys[0].provider_configs[0].blacklisted_models[0]: \"gpt-*\" is a "
	     "pattern, and only whole names are matched: name each model, or \"*\" for all\n"
	     "x.yaml:2:146: error: "
	     "governance.virtual_keys[0].provider_configs[0].blacklisted_models[1]: "
	     "\"regex:gpt.*\": regular expressions are not part of this build: name each model, or "
	     "\"*\" for all\n"
	     "x.yaml:2:161: error: "
	     "governance.virtual_keys[0].provider_configs[0].blacklisted_models[2]: is empty: name "
	     "a model, or \"*\" for all\n"},
	    {CONFIG("rate_limit_id: x"),
	     "x.yaml:2:131: error: governance.virtual_keys[0].provider_configs[0].rate_limit_id: "
	     "no rate limit has the id \"x\": add it to governance.rate_limits, or remove "
	     "rate_limit_id\n"},
	    {KEY("provider_configs: [{provider: groq, allowed_models: '*', key_ids: [fist, first, "
		 "other]}]"),
	     "x.yaml:2:112: error: governance.virtual_keys[0].provider_configs[0].key_ids[0]: the "
	     "provider \"groq\" has no key with the id or name \"fist\": did you mean \"first\"?\n"
	     "x.yaml:2:125: error: governance.virtual_keys[0].provider_configs[0].key_ids[2]: the "
	     "provider \"groq\" has no key with the id or name \"other\": add it to its keys, or "
	     "remove this\n"},
	    {KEY("provider_configs: [{provider: groq, allowed_models: '*', key_ids: fist}]"),
	     "x.yaml:2:111: error: governance.virtual_keys[0].provider_configs[0].key_ids[0]: the "
	     "provider \"groq\" has no key with the id or name \"fist\": did you mean "
	     "\"first\"?\n"},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

static void bad_model_configs_and_providers(void **state)
{
	static const struct bad cases[] = {
	    {"  model_configs: [{provider: groq}]",
	     "x.yaml:2:19: error: governance.model_configs[0]: \"model_name\" is missing: add "
	     "it\n"},
	    {"  model_configs: [{model_name: 'gpt-*'}]",
	     "x.yaml:2:32: error: governance.model_configs[0].model_name: \"gpt-*\" is a pattern, "
	     "and only whole names are matched: name each model, or \"*\" for all\n"},
	    {"  model_configs: [{model_name: m, provider: gorq}]",
	     "x.yaml:2:45: error: governance.model_configs[0].provider: no provider has the name "
	     "\"gorq\": did you mean \"groq\"?\n"},
	    {"  model_configs: [{model_name: m, scope: virtual_key}]",
	     "x.yaml:2:19: error: governance.model_configs[0]: scope: virtual_key needs scope_id: "
	     "add the id of the virtual key\n"},
	    {"  model_configs: [{model_name: m, scope_id: k}]",
	     "x.yaml:2:19: error: governance.model_configs[0]: scope_id is for scope: virtual_key: "
	     "write that, or remove it\n"},
	    {"  model_configs: [{model_name: m, scope: user, scope_id: k}]",
	     "x.yaml:2:42: error: governance.model_configs[0].scope: user is not part of this "
	     "build: use global\n"},
	    {"  model_configs: [{model_name: m, scope: virtual_key, scope_id: key-1}]\n  "
	     "virtual_keys: [{id: key-2, name: n, value: v}]",
	     "x.yaml:2:65: error: governance.model_configs[0].scope_id: no virtual key has the id "
	     "\"key-1\": did you mean \"key-2\"?\n"},
	    {"  model_configs: [{model_name: groq/m}, {model_name: m, provider: groq}]",
	     "x.yaml:2:54: error: the model config target \"groq/m\" stands in line 2 already: "
	     "every model config needs its own\n"},
	    {"  model_configs: [{model_name: m, scope: virtual_key, scope_id: k}, {model_name: m, "
	     "scope: virtual_key, scope_id: k}]\n  virtual_keys: [{id: k, name: n, value: v}]",
	     "x.yaml:2:82: error: the model config target \"m of k\" stands in line 2 already: "
	     "every model config needs its own\n"},
	    {"  model_configs: [{model_name: m, rate_limit: {request_max_limit: 1}}]",
	     "x.yaml:2:47: error: governance.model_configs[0].rate_limit: request_max_limit "
	     "needs request_reset_duration: add it, such as 1h\n"},
	    {"  rate_limits: [{id: r, concurrent_max_limit: 1}]\n  model_configs: [{model_name: m, "
	     "rate_limit_id: r, rate_limit: {concurrent_max_limit: 1}}]",
	     "x.yaml:3:65: error: governance.model_configs[0].rate_limit: has rate_limit_id too: "
	     "keep one of them\n"},
	    {"  rate_limits: [{id: r, concurrent_max_limit: 1}]\n  model_configs: [{model_name: m, "
	     "rate_limit: {id: r, concurrent_max_limit: 1}}]",
	     "x.yaml:3:52: error: the rate limit id \"r\" stands in line 2 already: every rate "
	     "limit needs its own\n"},
	    {"  providers: [{name: gorq}]",
	     "x.yaml:2:22: error: governance.providers[0].name: no provider has the name \"gorq\": "
	     "did you mean \"groq\"?\n"},
	    {"  providers: [{name: groq}, {name: groq}]",
	     "x.yaml:2:36: error: the provider name \"groq\" stands in line 2 already: every "
	     "provider needs its own\n"},
	    {"  providers: [{name: groq, id: x}]",
	     "x.yaml:2:28: error: unknown key \"id\" in governance.providers[0]: valid here: name, "
	     "calendar_aligned, rate_limit_id, budgets, budget, budget_id, rate_limit\n"},
	    {"  providers: {groq: {}}",
	     "x.yaml:2:14: error: governance.providers: must be a list, not a mapping\n"},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

#define BUDGET(more) "  budgets: [{id: b, max_limit: 1, reset_duration: 1d, " more "}]"

static void bad_owners_of_budgets(void **state)
{
	static const struct bad cases[] = {
	    {BUDGET(""),
	     "x.yaml:2:13: error: governance.budgets[0]: names no owner: add virtual_key_id, "
	     "team_id, customer_id, provider_config_id or model_config_id\n"},
	    {BUDGET("team_id: t"), "x.yaml:2:64: error: governance.budgets[0].team_id: no team has "
				   "the id \"t\": give it to one, or mend this one\n"},
	    {"  teams: [{id: blue, name: b}]\n" BUDGET("team_id: bleu"),
	     "x.yaml:3:64: error: governance.budgets[0].team_id: no team has the id \"bleu\": did "
	     "you mean \"blue\"?\n"},
	    {"  teams: [{id: t, name: b}]\n  customers: [{id: c, name: b}]\n" BUDGET(
		 "team_id: t, customer_id: c"),
	     "x.yaml:4:13: error: governance.budgets[0]: has more than one owner: keep one of "
	     "them\n"},
	    {"  teams: [{id: t, name: b}]\n  customers: [{id: c, name: b, budget_id: b}]\n" BUDGET(
		 "team_id: t"),
	     "x.yaml:4:13: error: governance.budgets[0]: has more than one owner: another one "
	     "names it as its budget_id\n"},
	    {"  teams: [{id: t, name: b, budget_id: b}]\n  customers: [{id: c, name: b, budget_id: "
	     "b}]\n" BUDGET(""),
	     "x.yaml:3:43: error: the owner budget_id \"b\" stands in line 2 already: every owner "
	     "needs its own\n"},
	    {"  teams: [{id: t, name: b, budget_id: b}]\n" BUDGET("team_id: t"), ""},
	    {"  teams: [{id: t, name: b, budget_id: c}]",
	     "x.yaml:2:39: error: governance.teams[0].budget_id: no budget has the id \"c\": add "
	     "it to governance.budgets, or remove budget_id\n"},
	    {"  teams: [{id: t, name: b, budgets: [{max_limit: 1, reset_duration: 1d, team_id: "
	     "s}]}]",
	     "x.yaml:2:82: error: a budget in the team \"b\" names another as its owner: remove "
	     "team_id\n"},
	    {"  teams: [{id: t, name: b, budgets: [{max_limit: 1, reset_duration: 1d, team_id: "
	     "t}]}]",
	     ""},
	    {"  teams: [{id: t, name: b, budget: {max_limit: 1, reset_duration: 1d, "
	     "virtual_key_id: t}}]",
	     "x.yaml:2:87: error: a budget in the team \"b\" names another as its owner: remove "
	     "virtual_key_id\n"},
	    {"  teams: [{id: t, name: b, budgets: [{max_limit: 1, reset_duration: 24h}]}]\n" BUDGET(
		 "team_id: t"),
	     "x.yaml:3:51: error: governance.teams[0].budgets: \"1d\" is the window of another "
	     "budget of this team too: keep the lower one\n"},
	    {CONFIG("id: c, budgets: [{max_limit: 1, reset_duration: 1h, calendar_aligned: true}]"),
	     "x.yaml:2:164: error: governance.virtual_keys[0].provider_configs[0].budgets: \"1h\" "
	     "is shorter than a day and cannot follow the calendar: remove calendar_aligned, or "
	     "write 1d or more\n"},
	    {"  model_configs: [{id: m, model_name: m}]\n" BUDGET(
		 "model_config_id: n, calendar_aligned: 5"),
	     "x.yaml:3:72: error: governance.budgets[0].model_config_id: no model config has the "
	     "id \"n\": did you mean \"m\"?\n"
	     "x.yaml:3:93: error: governance.budgets[0].calendar_aligned: must be true or false, "
	     "not \"5\"\n"},
	    {CONFIG("id: c") "\n" BUDGET("provider_config_id: d"),
	     "x.yaml:3:75: error: governance.budgets[0].provider_config_id: no provider config has "
	     "the id \"d\": did you mean \"c\"?\n"},
	    {"  teams: [{name: b, budget: {max_limit: 1, reset_duration: 1d, id: b}}]\n  "
	     "customers: [{id: c, name: c}]\n" BUDGET("customer_id: c"),
	     "x.yaml:4:18: error: the budget id \"b\" stands in line 2 already: every budget needs "
	     "its own\n"},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

static void what_is_warned_of(void **state)
{
	static const struct bad cases[] = {
	    {"  rate_limits: [{id: r, concurrent_max_limit: 1}, {id: s, concurrent_max_limit: 1}]\n"
	     "  customers: [{name: c, rate_limit_id: s, calendar_aligned: true}]",
	     "x.yaml:2:17: warning: governance.rate_limits[0]: nobody names \"r\" as its "
	     "rate_limit_id: it limits nothing\n"
	     "x.yaml:3:61: warning: governance.customers[0].calendar_aligned: has no effect: no "
	     "window of the customer is one of days, weeks, months, quarters or years\n"},
	    {"  teams: [{name: c, rate_limit: {request_max_limit: 1, request_reset_duration: 7d, "
	     "token_last_reset: 2026-01-01T00:00:00Z}, calendar_aligned: true}]",
	     "x.yaml:2:80: warning: request_reset_duration: \"7d\" that follows the calendar is "
	     "1d: the number before the unit does not count; write 1d, or remove calendar_aligned\n"
	     "x.yaml:2:102: warning: token_last_reset: has no effect without token_max_limit\n"},
	    {CONFIG("calendar_aligned: true, budgets: [{max_limit: 1, reset_duration: 1h}]"),
	     "x.yaml:2:134: warning: "
	     "governance.virtual_keys[0].provider_configs[0].calendar_aligned: has no effect: no "
	     "window of the provider config is one of days, weeks, months, quarters or years\n"},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
	bed_says("logs_store: {enabled: false}\ngovernance:\n"
		 "  providers: [{name: mock, rate_limit: {concurrent_max_limit: 1}}]\n" MOCK,
		 "x.yaml:3:15: warning: governance.providers[0]: has limits, and "
		 "logs_store.enabled is false: what was used is forgotten when everything "
		 "restarts\n");
}

/* Of all that one request may meet: its key, team and customer, wherever it goes. */
static void too_many_limits_on_a_path(void **state)
{
	char yaml[8192];
	size_t used = 0;

	(void)state;
	used += (size_t)snprintf(yaml, sizeof(yaml),
				 "governance:\n" PRICE "  customers: [{id: c, name: c}]\n"
				 "  teams: [{id: t, name: t, customer_id: c}]\n"
				 "  virtual_keys: [{id: k, name: a, value: b, team_id: t}]\n"
				 "  budgets:\n");
	for (unsigned i = 1; i <= 41; i++)
		used += (size_t)snprintf(yaml + used, sizeof(yaml) - used,
					 "    - {max_limit: 1, reset_duration: %us, %s}\n", i,
					 i <= 20   ? "customer_id: c"
					 : i <= 30 ? "team_id: t"
						   : "virtual_key_id: k");
	(void)snprintf(yaml + used, sizeof(yaml) - used, MOCK);
	bed_says(yaml,
		 "x.yaml:5:18: error: governance.virtual_keys[0]: a request to any provider for "
		 "any model meets 41 limits, and at most 40 can be decided at once: remove some of "
		 "11 of virtual_key \"a\", 10 of team \"t\", 20 of customer \"c\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_customers_and_teams),
	    cmocka_unit_test(bad_ids_and_names),
	    cmocka_unit_test(bad_keys),
	    cmocka_unit_test(bad_model_configs_and_providers),
	    cmocka_unit_test(bad_owners_of_budgets),
	    cmocka_unit_test(what_is_warned_of),
	    cmocka_unit_test(too_many_limits_on_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
