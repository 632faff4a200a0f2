/* Who names whom: nobody goes whom somebody names, whatever they are; and looks have an end. */
#include "tests/unit/writerd/entities_bed.h"

#define VK       BF_ENTITY_VIRTUAL_KEY
#define TEAM     BF_ENTITY_TEAM
#define CUSTOMER BF_ENTITY_CUSTOMER
#define RATE     BF_ENTITY_RATE_LIMIT
#define MODEL    BF_ENTITY_MODEL_CONFIG
#define LIMITS   BF_ENTITY_PROVIDER_LIMITS
#define PRICE    BF_ENTITY_PRICING_OVERRIDE
#define PROVIDER BF_ENTITY_PROVIDER
#define CREATE   BF_ENTITY_CREATE
#define DELETE   BF_ENTITY_DELETE

#define PLAIN "providers: {mock: {}}\n"

static struct bed b;

static void who_is_named_stays(void **state)
{
	static const struct {
		uint32_t named;
		const char *id;
		uint32_t namer;
		const char *json;
	} cases[] = {
	    {CUSTOMER, "c", TEAM, "{\"name\":\"x\",\"customer_id\":\"c\"}"},
	    {CUSTOMER, "c", VK, "{\"name\":\"x\",\"customer_id\":\"c\"}"},
	    {TEAM, "t", VK, "{\"name\":\"x\",\"team_id\":\"t\"}"},
	    {PROVIDER, "mock", VK,
	     "{\"name\":\"x\",\"provider_configs\":[{\"provider\":\"mock\"}]}"},
	    {VK, "k", MODEL, "{\"model_name\":\"m\",\"scope\":\"virtual_key\",\"scope_id\":\"k\"}"},
	    {VK, "k", PRICE,
	     "{\"name\":\"x\",\"pattern\":\"m\",\"scope_kind\":\"virtual_key\",\"virtual_key_id\":"
	     "\"k\",\"pricing_patch\":{\"input_cost_per_token\":1}}"},
	    {RATE, "r", CUSTOMER, "{\"name\":\"x\",\"rate_limit_id\":\"r\"}"},
	    {RATE, "r", TEAM, "{\"name\":\"x\",\"rate_limit_id\":\"r\"}"},
	    {RATE, "r", VK, "{\"name\":\"x\",\"rate_limit_id\":\"r\"}"},
	    {RATE, "r", VK,
	     "{\"name\":\"x\",\"provider_configs\":[{\"provider\":\"mock\",\"rate_limit_id\":\"r\"}"
	     "]}"},
	    {RATE, "r", MODEL, "{\"model_name\":\"m\",\"rate_limit_id\":\"r\"}"},
	    {RATE, "r", LIMITS, "{\"rate_limit_id\":\"r\"}"},
	};

	(void)state;
	bed_open(&b, PLAIN);
	bed_ask_well(&b, CREATE, CUSTOMER, "c", "{\"name\":\"c\"}");
	bed_ask_well(&b, CREATE, TEAM, "t", "{\"name\":\"t\"}");
	bed_ask_well(&b, CREATE, VK, "k", "{\"name\":\"k\"}");
	bed_ask_well(&b, CREATE, RATE, "r", "{\"id\":\"r\",\"concurrent_max_limit\":1}");
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		bool is_limits = cases[i].namer == LIMITS;
		const char *id = is_limits ? "mock" : "namer";

		bed_ask_well(&b, is_limits ? BF_ENTITY_UPDATE : CREATE, cases[i].namer, id,
			     cases[i].json);
		bed_ask_badly(&b, DELETE, cases[i].named, cases[i].id, "", 409,
			      "\"type\":\"in_use\"");
		bed_ask_well(&b, DELETE, cases[i].namer, id, "");
	}
	bed_ask_well(&b, DELETE, RATE, "r", "");
	bed_ask_well(&b, DELETE, VK, "k", "");
	bed_ask_well(&b, DELETE, TEAM, "t", "");
	bed_ask_well(&b, DELETE, CUSTOMER, "c", "");
	bed_close(&b);
}

/* Each look is some microseconds, and rows wait meanwhile: among a million it would be seconds. */
static void a_hint_is_not_looked_for_among_all(void **state)
{
	char id[16], json[32];

	(void)state;
	bed_open(&b, PLAIN);
	bed_ask_well(&b, CREATE, TEAM, "first-one", "{\"name\":\"first\"}");
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(id, sizeof(id), "%04u-%04u", i, i * 7);
		(void)snprintf(json, sizeof(json), "{\"name\":\"%u\"}", i);
		const struct bf_msg_entity_change ask = bed_change(CREATE, TEAM, id, json);
		bed_send(&b, &ask);
		if (i % 200 == 199)
			bed_settle(&b);
	}
	bed_ask_well(&b, CREATE, TEAM, "last-one", "{\"name\":\"last\"}");
	bed_ask_badly(&b, CREATE, VK, "", "{\"name\":\"x\",\"team_id\":\"frist-one\"}", 400,
		      "did you mean \\\"first-one\\\"?");
	bed_ask_badly(&b, CREATE, VK, "", "{\"name\":\"x\",\"team_id\":\"lats-one\"}", 400,
		      "create it first");
	bed_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_is_named_stays),
	    cmocka_unit_test(a_hint_is_not_looked_for_among_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
