/* The governance block: what is said of bad ones, word by word, and what is only warned of. */
#include "load_bed.h"

#define KEY_A "{name: a, value: sk-a}"

struct bad {
	const char *governance, *lines;
};

static void check_bad(const struct bad *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char yaml[1024];

		(void)snprintf(yaml, sizeof(yaml), "governance:\n%s\n" MOCK, cases[i].governance);
		bed_says(yaml, cases[i].lines);
	}
}

static void bad_keys(void **state)
{
	static const struct bad cases[] = {
	    {"  virtual_keys: [{name: a}]", "x.yaml:2:18: error: governance.virtual_keys[0]: "
					    "\"value\" is missing: add a secret of "
					    "its own, best as env.NAME or file.PATH\n"},
	    {"  virtual_keys: [{value: a}]",
	     "x.yaml:2:18: error: governance.virtual_keys[0]: \"name\" is missing: add it\n"},
	    {"  virtual_keys: [{name: a, value: ''}]",
	     "x.yaml:2:35: error: governance.virtual_keys[0].value: is empty: give a secret of its "
	     "own\n"},
	    {"  virtual_keys: [{name: a, value: env.EMPTY}]",
	     "x.yaml:2:35: error: governance.virtual_keys[0].value: is empty: give a secret of its "
	     "own\n"},
	    {"  virtual_keys: [{name: a, value: 'two words'}]",
	     "x.yaml:2:35: error: governance.virtual_keys[0].value: must consist of letters, "
	     "digits "
	     "and signs, without spaces: it travels in a header\n"},
	    {"  virtual_keys: [" KEY_A ", {name: b, value: sk-a}]",
	     "x.yaml:2:59: error: this value stands in line 2 already: every virtual key needs its "
	     "own\n"},
	    {"  virtual_keys: [" KEY_A ", {name: a, value: sk-b}]",
	     "x.yaml:2:49: error: the virtual key name \"a\" stands in line 2 already: every "
	     "virtual key needs its own\n"},
	    {"  virtual_keys: [{id: ca978112-ca1b-8dca-bac2-31b39a23dc4d, name: c, value: "
	     "d}, " KEY_A "]",
	     "x.yaml:2:88: error: the virtual key id \"ca978112-ca1b-8dca-bac2-31b39a23dc4d\" "
	     "stands "
	     "in line 2 already: every virtual key needs its own\n"},
	    {"  virtual_keys: [{id: x, name: a, value: b}, {id: x, name: c, value: d}]",
	     "x.yaml:2:51: error: the virtual key id \"x\" stands in line 2 already: every virtual "
	     "key needs its own\n"},
	    {"  virtual_keys: [{name: a, value: b, rate_limit_id: none}]",
	     "x.yaml:2:53: error: governance.virtual_keys[0].rate_limit_id: no rate limit has the "
	     "id \"none\": add it to governance.rate_limits, or remove rate_limit_id\n"},
	    {"  virtual_keys: [{name: a, value: b, allow_all_providers: true, "
	     "delete_after_expire: false, expires_at: ~, provider_configs: []}]",
	     ""},
	    {"  virtual_keys: [{name: a, value: b, isActive: true}]",
	     "x.yaml:2:38: error: unknown key \"isActive\" in governance.virtual_keys[0]: did you "
	     "mean \"is_active\"?\n"},
	    {"  virtual_keys: {a: b}",
	     "x.yaml:2:17: error: governance.virtual_keys: must be a list, not a mapping\n"},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

static void bad_rate_limits(void **state)
{
	static const struct bad cases[] = {
	    {"  rate_limits: [{id: r}]",
	     "x.yaml:2:17: error: governance.rate_limits[0]: limits nothing: give "
	     "request_max_limit, token_max_limit or concurrent_max_limit, or remove it\n"},
	    {"  rate_limits: [{concurrent_max_limit: 1}]",
	     "x.yaml:2:17: error: governance.rate_limits[0]: \"id\" is missing: add it\n"},
	    {"  rate_limits: [{id: '', concurrent_max_limit: 1}]",
	     "x.yaml:2:17: error: governance.rate_limits[0]: its id is empty: give it one\n"},
	    {"  rate_limits: [{id: r, token_max_limit: 5}]",
	     "x.yaml:2:17: error: governance.rate_limits[0]: token_max_limit needs "
	     "token_reset_duration: add it, such as 1h\n"},
	    {"  rate_limits: [{id: r, request_max_limit: 0, request_reset_duration: 1m}]",
	     "x.yaml:2:17: error: governance.rate_limits[0]: request_reset_duration needs a "
	     "request_max_limit of 1 or more: add it, or remove both\n"},
	    {"  rate_limits: [{id: r, request_max_limit: -1, request_reset_duration: 1m}]",
	     "x.yaml:2:44: error: governance.rate_limits[0].request_max_limit: must be from 0 to "
	     "1000000000000000000, not \"-1\"\n"},
	    {"  rate_limits: [{id: r, request_max_limit: 1, request_reset_duration: 1 hour}]",
	     "x.yaml:2:71: error: governance.rate_limits[0].request_reset_duration: must be a "
	     "duration such as 30s, 1h or 1d, with d, w, M, Q and Y for days, weeks, months, "
	     "quarters and years, or daily, weekly, monthly, yearly, not \"1 hour\"\n"},
	    {"  rate_limits: [{id: r, request_max_limit: 1, request_reset_duration: 0s}]",
	     "x.yaml:2:71: error: governance.rate_limits[0].request_reset_duration: must be longer "
	     "than nothing and at most 100 years\n"},
	    {"  rate_limits: [{id: r, request_max_limit: 1, request_reset_duration: 60}]",
	     "x.yaml:2:71: error: governance.rate_limits[0].request_reset_duration: must be a "
	     "string, not a number: put it in quotes\n"},
	    {"  rate_limits: [{id: r, concurrent_max_limit: 1}, {id: r, concurrent_max_limit: 2}]",
	     "x.yaml:2:56: error: the rate limit id \"r\" stands in line 2 already: every rate "
	     "limit needs its own\n"},
	    {"  rate_limits: [{id: r, concurrent_max_limit: 1, token_current_usage: 7}]",
	     "x.yaml:2:17: warning: governance.rate_limits[0]: nobody names \"r\" as its "
	     "rate_limit_id: it limits nothing\n"
	     "x.yaml:2:50: warning: governance.rate_limits[0].token_current_usage is not part of "
	     "this build and has no effect\n"},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

/* A key with this budget, and a price, so that only the budget is spoken of. */
#define WITH(budgets)                                                                           \
	"  virtual_keys: [{id: k, name: a, value: b, budgets: [" budgets "]}]\n"                \
	"  pricing_overrides: [{name: p, pattern: m, pricing_patch: {input_cost_per_token: 0, " \
	"output_cost_per_token: 0}}]"

static void bad_budgets(void **state)
{
	static const struct bad cases[] = {
	    {WITH("{reset_duration: 1d}"),
	     "x.yaml:2:55: error: governance.virtual_keys[0].budgets[0]: \"max_limit\" is missing: "
	     "add it\n"},
	    {WITH("{max_limit: 1}"),
	     "x.yaml:2:55: error: governance.virtual_keys[0].budgets[0]: \"reset_duration\" is "
	     "missing: add it\n"},
	    {WITH("{max_limit: 0.0000000001, reset_duration: 1d}"),
	     "x.yaml:2:67: error: governance.virtual_keys[0].budgets[0].max_limit: must be a "
	     "decimal "
	     "number with at most 9 decimals, not \"0.0000000001\"\n"},
	    {WITH("{max_limit: 2000000000.01, reset_duration: 1d}"),
	     "x.yaml:2:67: error: governance.virtual_keys[0].budgets[0].max_limit: must be from 0 "
	     "to "
	     "2000000000, not \"2000000000.01\"\n"},
	    {WITH("{max_limit: \"5\", reset_duration: 1d}"),
	     "x.yaml:2:67: error: governance.virtual_keys[0].budgets[0].max_limit: must be a "
	     "decimal "
	     "number with at most 9 decimals, not \"5\" in quotes\n"},
	    {WITH("{max_limit: 1, reset_duration: 1h, calendar_aligned: true}"),
	     "x.yaml:2:86: error: governance.virtual_keys[0].budgets: \"1h\" is shorter than a day "
	     "and cannot follow the calendar: remove calendar_aligned, or write 1d or more\n"},
	    {WITH("{max_limit: 1, reset_duration: 1d}, {max_limit: 2, reset_duration: daily}"),
	     "x.yaml:2:122: error: governance.virtual_keys[0].budgets: \"daily\" is the window of "
	     "another budget of this key too: keep the lower one\n"},
	    {WITH("{max_limit: 1, reset_duration: 1d, last_reset: 2026-11-21}"),
	     "x.yaml:2:102: error: governance.virtual_keys[0].budgets[0].last_reset: must be a "
	     "time "
	     "such as 2026-11-21T10:00:00Z, not \"2026-11-21\"\n"},
	    {WITH("{max_limit: 1, reset_duration: 1Q, reset_config: {quarter_start_month: 13}}"),
	     "x.yaml:2:126: error: "
	     "governance.virtual_keys[0].budgets[0].reset_config.quarter_start_month: must be from "
	     "1 to 12, not \"13\"\n"},
	    {WITH("{max_limit: 1, reset_duration: 1Q, reset_config: {quarter_start_month: 2}}"),
	     "x.yaml:2:126: warning: reset_config.quarter_start_month: has no effect: only windows "
	     "of 1Q with calendar_aligned: true begin in a month\n"},
	    {WITH("{max_limit: 1, reset_duration: 1d, current_usage: 0.5}"),
	     "x.yaml:2:90: warning: governance.virtual_keys[0].budgets[0].current_usage is not "
	     "part "
	     "of this build and has no effect\n"},
	    {WITH("{max_limit: 1, reset_duration: 1d, virtual_key_id: other}"),
	     "x.yaml:2:106: error: a budget in the virtual key \"a\" names another as its owner: "
	     "remove virtual_key_id\n"},
	    {WITH("{max_limit: 1, reset_duration: 1d, virtual_key_id: k}"), ""},
	    {WITH("{id: x, max_limit: 1, reset_duration: 1d}, {id: x, max_limit: 1, "
		  "reset_duration: 2d}"),
	     "x.yaml:2:103: error: the budget id \"x\" stands in line 2 already: every budget "
	     "needs "
	     "its own\n"},
	    {"  virtual_keys: [{name: a, value: b, budget: 5}]",
	     "x.yaml:2:46: error: governance.virtual_keys[0].budget: must be a mapping, not a "
	     "number\n"},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

static void bad_owners(void **state)
{
	static const struct bad cases[] = {
	    {"  budgets: [{max_limit: 1, reset_duration: 1d}]",
	     "x.yaml:2:13: error: governance.budgets[0]: names no owner: add virtual_key_id, "
	     "team_id, customer_id, provider_config_id or model_config_id\n"},
	    {"  budgets: [{max_limit: 1, reset_duration: 1d, virtual_key_id: x}]",
	     "x.yaml:2:64: error: governance.budgets[0].virtual_key_id: no virtual key has the id "
	     "\"x\": give it to one, or mend this one\n"},
	    /* Where a budget stands is where it is spoken of. */
	    {"  virtual_keys: [{id: k, name: a, value: b, budget: {max_limit: 1, reset_duration: "
	     "1d}}]\n"
	     "  budgets: [{max_limit: 1, reset_duration: 24h, virtual_key_id: k}]",
	     "x.yaml:3:44: error: governance.virtual_keys[0].budgets: \"24h\" is the window of "
	     "another budget of this key too: keep the lower one\n"},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

#define PRICE(more, patch)                                         \
	"  pricing_overrides: [{name: p, " more "pricing_patch: {" \
	"input_cost_per_token: 1e-6, " patch "}}]"

#define P "{name: p, pattern: m, pricing_patch: {input_cost_per_token: 0}}"

static void bad_prices(void **state)
{
	static const struct bad cases[] = {
	    {"  pricing_overrides: [{name: p, pattern: m}]",
	     "x.yaml:2:23: error: governance.pricing_overrides[0]: \"pricing_patch\" is missing: "
	     "add "
	     "it\n"},
	    {PRICE("pattern: m, ", ""), ""},
	    {PRICE("pattern: m, ", "output_cost_per_token: 1e-13"),
	     "x.yaml:2:112: error: "
	     "governance.pricing_overrides[0].pricing_patch.output_cost_per_token: must be a "
	     "decimal "
	     "number with at most 12 decimals, not \"1e-13\"\n"},
	    {PRICE("pattern: m, ", "output_cost_per_token: -1"),
	     "x.yaml:2:112: error: "
	     "governance.pricing_overrides[0].pricing_patch.output_cost_per_token: must be from 0 "
	     "to "
	     "1, not \"-1\"\n"},
	    {PRICE("pattern: 'm*', ", "output_cost_per_token: 0"),
	     "x.yaml:2:23: error: governance.pricing_overrides[0]: a pattern with * needs "
	     "match_type: wildcard: add it\n"},
	    {PRICE("pattern: '', ", "output_cost_per_token: 0"),
	     "x.yaml:2:23: error: governance.pricing_overrides[0]: pattern is empty: write the "
	     "model's name, or * with match_type: wildcard\n"},
	    {PRICE("pattern: m, scope_kind: provider, ", "output_cost_per_token: 0"),
	     "x.yaml:2:23: error: governance.pricing_overrides[0]: scope_kind: provider needs "
	     "provider_id: add it\n"},
	    {PRICE("pattern: m, provider_id: mock, ", "output_cost_per_token: 0"),
	     "x.yaml:2:23: error: governance.pricing_overrides[0]: scope_kind: global has no "
	     "provider_id: remove it, or write the scope that has one\n"},
	    {PRICE("pattern: m, scope_kind: provider, provider_id: nobody, ",
		   "output_cost_per_token: 0"),
	     "x.yaml:2:80: warning: governance.pricing_overrides[0].provider_id: no provider has "
	     "the "
	     "name \"nobody\": the price is never used\n"},
	    {PRICE("pattern: m, scope_kind: virtual_key, ", "output_cost_per_token: 0"),
	     "x.yaml:2:23: error: governance.pricing_overrides[0]: scope_kind: virtual_key needs "
	     "virtual_key_id: add it\n"},
	    {"  pricing_overrides: [" P ", " P "]",
	     "x.yaml:2:95: error: the pricing override name \"p\" stands in line 2 already: every "
	     "pricing override needs its own\n"},
	    {PRICE("pattern: m, match_type: regex, ", "output_cost_per_token: 0"),
	     "x.yaml:2:57: error: governance.pricing_overrides[0].match_type: must be one of "
	     "exact, "
	     "wildcard, not \"regex\"\n"},
	    {PRICE("pattern: m, request_types: [chat], ", "output_cost_per_token: 0"),
	     "x.yaml:2:61: error: governance.pricing_overrides[0].request_types[0]: must be one of "
	     "chat_completion, text_completion, responses, embedding, not \"chat\"\n"},
	    {PRICE("pattern: m, ", "output_cost_per_token: 0, cost_per_request: 0"), ""},
	    {PRICE("pattern: m, ", "output_cost_per_token: 0, output_cost_per_token_flex: 0.1"),
	     ""},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

#define CATALOGS(entries) "  model_catalogs: [" entries "]"

static void bad_lists_of_models(void **state)
{
	static const struct bad cases[] = {
	    {CATALOGS("{provider: mock, models: [a, vendor/b:free]}"), ""},
	    {CATALOGS("{provider: mock, models: []}"), ""},
	    {CATALOGS("{provider: mock, models: one}"), ""},
	    {CATALOGS("{models: [a]}"),
	     "x.yaml:2:20: error: governance.model_catalogs[0]: \"provider\" is missing: add it\n"},
	    {CATALOGS("{provider: mokc, models: [a]}"),
	     "x.yaml:2:31: error: governance.model_catalogs[0].provider: no provider has the name "
	     "\"mokc\": did you mean \"mock\"?\n"},
	    {CATALOGS("{provider: mock, models: [a]}, {provider: mock, models: [b]}"),
	     "x.yaml:2:62: error: the list of models provider \"mock\" stands in line 2 already: "
	     "every list of models needs its own\n"},
	    {CATALOGS("{provider: mock, models: [a, b, a, b]}"),
	     "x.yaml:2:52: error: governance.model_catalogs[0].models[2]: \"a\" stands there "
	     "before: give each name once\n"},
	    {CATALOGS("{provider: mock, models: [a, '*']}"),
	     "x.yaml:2:49: error: governance.model_catalogs[0].models[1]: stands for all models in "
	     "lists of keys, and is none itself\n"},
	    {CATALOGS("{provider: mock, models: ['', '']}"),
	     "x.yaml:2:46: error: governance.model_catalogs[0].models[0]: is empty\n"
	     "x.yaml:2:50: error: governance.model_catalogs[0].models[1]: is empty\n"},
	    {CATALOGS("{provider: mock, names: [a]}"),
	     "x.yaml:2:37: error: unknown key \"names\" in governance.model_catalogs[0]: "
	     "valid here: provider, models\n"},
	    {"  model_catalogs: {mock: [a]}",
	     "x.yaml:2:19: error: governance.model_catalogs: must be a list, not a mapping\n"},
	};

	(void)state;
	check_bad(cases, BF_ARRAY_LEN(cases));
}

static void what_is_warned_of(void **state)
{
	(void)state;
	bed_says("client: {enforce_auth_on_inference: true}\n" MOCK,
		 "x.yaml:1:37: warning: client.enforce_auth_on_inference: governance.virtual_keys "
		 "holds no key: every inference request will be refused\n");
	bed_says("client: {enforce_auth_on_inference: true, enforce_governance_header: false}\n"
		 "governance: {virtual_keys: [" KEY_A "]}\n" MOCK,
		 "x.yaml:1:70: error: client.enforce_governance_header contradicts "
		 "client.enforce_auth_on_inference: remove the former\n");
	bed_says("logs_store: {enabled: false}\ngovernance:\n"
		 "  rate_limits: [{id: r, concurrent_max_limit: 1}]\n"
		 "  virtual_keys:\n    - {name: a, value: b}\n"
		 "    - {name: c, value: d, rate_limit_id: r}\n"
		 "    - {name: e, value: f, rate_limit_id: r}\n" MOCK,
		 "x.yaml:6:7: warning: governance.virtual_keys[1]: has limits, and "
		 "logs_store.enabled is false: what was used is forgotten when everything "
		 "restarts\n");
	bed_says("client: {enable_logging: false}\ngovernance:\n"
		 "  rate_limits: [{id: r, concurrent_max_limit: 1}]\n"
		 "  virtual_keys:\n    - {name: c, value: d, rate_limit_id: r}\n" MOCK,
		 "x.yaml:5:7: warning: governance.virtual_keys[0]: has limits, and "
		 "client.enable_logging is false: what was used is forgotten when everything "
		 "restarts\n");
}

/* Bifrost takes all of this, so it is no error; but it does nothing. */
static void what_windows_leave_unused(void **state)
{
	(void)state;
	bed_says("governance:\n  rate_limits:\n"
		 "    - {id: r, token_max_limit: 1, token_reset_duration: 7d,\n"
		 "       request_last_reset: 2026-01-01T06:00:00Z,\n"
		 "       token_last_reset: 2026-01-01T06:00:00Z}\n"
		 "    - {id: short, token_max_limit: 1, token_reset_duration: 1h,\n"
		 "       token_last_reset: 2026-01-01T06:00:00Z}\n"
		 "  virtual_keys:\n"
		 "    - {name: a, value: b, rate_limit_id: r, calendar_aligned: true}\n"
		 "    - {name: c, value: d, rate_limit_id: r, calendar_aligned: true}\n"
		 "    - {name: e, value: f, rate_limit_id: short, calendar_aligned: true}\n"
		 "    - {name: g, value: h, rate_limit_id: short}\n" MOCK,
		 "x.yaml:3:57: warning: token_reset_duration: \"7d\" that follows the calendar is "
		 "1d: the number before the unit does not count; write 1d, or remove "
		 "calendar_aligned\n"
		 "x.yaml:4:28: warning: request_last_reset: has no effect without "
		 "request_max_limit\n"
		 "x.yaml:5:26: warning: token_last_reset: has no effect: windows that follow the "
		 "calendar begin with it\n"
		 "x.yaml:11:67: warning: governance.virtual_keys[2].calendar_aligned: has no "
		 "effect: no window of the key is one of days, weeks, months, quarters or years\n");
	bed_says(
	    "governance:\n"
	    "  pricing_overrides: [{name: p, pattern: m, pricing_patch: "
	    "{input_cost_per_token: 1, output_cost_per_token: 1}}]\n"
	    "  virtual_keys:\n"
	    "    - {name: a, value: b, calendar_aligned: true, budgets: [\n"
	    "       {max_limit: 1, reset_duration: monthly, last_reset: 2026-01-01T06:00:00Z},\n"
	    "       {max_limit: 1, reset_duration: 24h, last_reset: 2026-01-01T06:00:00Z}]}\n"
	    "    - {name: c, value: d, budgets: [\n"
	    "       {max_limit: 1, reset_duration: 30d, calendar_aligned: true},\n"
	    "       {max_limit: 1, reset_duration: 7d, last_reset: 2026-01-01T06:00:00Z}]}\n" MOCK,
	    "x.yaml:5:60: warning: last_reset: has no effect: windows that follow the calendar "
	    "begin with it\n"
	    "x.yaml:8:39: warning: reset_duration: \"30d\" that follows the calendar is 1d: "
	    "the number before the unit does not count; write 1d, or remove "
	    "calendar_aligned\n");
}

/* Forty can be decided at once, wherever they stand. */
static void too_many_limits(void **state)
{
	char yaml[8192];
	size_t used = 0;
	struct load_bed b;

	(void)state;
	used += (size_t)snprintf(yaml, sizeof(yaml),
				 "governance:\n  rate_limits: [{id: r, concurrent_max_limit: 1}]\n"
				 "  virtual_keys: [{id: k, name: a, value: b, rate_limit_id: r}]\n"
				 "  budgets:\n");
	for (unsigned i = 1; i <= 40; i++)
		used += (size_t)snprintf(yaml + used, sizeof(yaml) - used,
					 "    - {max_limit: 1, reset_duration: %us, "
					 "virtual_key_id: k}\n",
					 i);
	(void)snprintf(yaml + used, sizeof(yaml) - used, MOCK);
	const char *text = bed_load(&b, yaml);
	if (!strstr(text,
		    "x.yaml:3:18: error: governance.virtual_keys[0]: has 41 limits: at most 40 "
		    "can be decided at once: remove budgets\n"))
		fail_msg("%s", text);
	bed_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_keys),          cmocka_unit_test(bad_rate_limits),
	    cmocka_unit_test(bad_budgets),       cmocka_unit_test(bad_owners),
	    cmocka_unit_test(bad_prices),        cmocka_unit_test(bad_lists_of_models),
	    cmocka_unit_test(what_is_warned_of), cmocka_unit_test(what_windows_leave_unused),
	    cmocka_unit_test(too_many_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
