/*
 * The members that name others. Called for each entity that is loaded or changed. Must name every
 * member that common/snapshot follows: what is not checked here is blocked there.
 */
#include "writerd/entity/entity_refs.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/schema/config_governance.h"
#include "common/schema/model_catalog.h"

struct visitor {
	entity_ref_visit visit;
	void *ctx;
};

static void ref(const struct visitor *v, uint32_t type, struct bf_slice id, const char *member)
{
	if (id.len)
		v->visit(v->ctx, type, id, member);
}

static void own_refs(const struct visitor *v, const struct bf_conf_owner *own)
{
	ref(v, BF_ENTITY_RATE_LIMIT, own->rate_limit_id, "rate_limit_id");
}

static void key_refs(const struct visitor *v, const struct bf_conf_virtual_key *key)
{
	const struct bf_conf_provider_config *configs = key->provider_configs.items;
	char member[64];

	ref(v, BF_ENTITY_TEAM, key->team_id, "team_id");
	ref(v, BF_ENTITY_CUSTOMER, key->customer_id, "customer_id");
	own_refs(v, &key->own);
	for (uint32_t i = 0; i < key->provider_configs.count; i++) {
		(void)snprintf(member, sizeof(member),
			       "provider_configs[%" PRIu32 "].rate_limit_id", i);
		ref(v, BF_ENTITY_RATE_LIMIT, configs[i].own.rate_limit_id, member);
		(void)snprintf(member, sizeof(member), "provider_configs[%" PRIu32 "].provider", i);
		ref(v, BF_ENTITY_PROVIDER, configs[i].provider, member);
	}
}

void entity_refs(uint32_t type, const void *object, entity_ref_visit visit, void *ctx)
{
	const struct visitor v = {visit, ctx};
	const struct bf_conf_team *team = object;
	const struct bf_conf_model_config *model = object;
	const struct bf_conf_pricing_override *price = object;
	const struct bf_model_catalog *catalog = object;

	switch ((enum bf_entity_type)type) {
	case BF_ENTITY_CUSTOMER:
	case BF_ENTITY_PROVIDER_LIMITS:
		own_refs(&v, object);
		break;
	case BF_ENTITY_TEAM:
		ref(&v, BF_ENTITY_CUSTOMER, team->customer_id, "customer_id");
		own_refs(&v, object);
		break;
	case BF_ENTITY_VIRTUAL_KEY:
		key_refs(&v, object);
		break;
	case BF_ENTITY_MODEL_CONFIG:
		ref(&v, BF_ENTITY_VIRTUAL_KEY, model->scope_id, "scope_id");
		own_refs(&v, object);
		break;
	case BF_ENTITY_PRICING_OVERRIDE:
		ref(&v, BF_ENTITY_VIRTUAL_KEY, price->virtual_key_id, "virtual_key_id");
		break;
	case BF_ENTITY_MODEL_CATALOG:
		ref(&v, BF_ENTITY_PROVIDER, catalog->provider, "provider");
		break;
	case BF_ENTITY_RATE_LIMIT:
	case BF_ENTITY_PROVIDER:
	case BF_ENTITY_PRICING:
	case BF_ENTITY_CLIENT_CONFIG:
	case BF_ENTITY_AUTH_CONFIG:
	case BF_ENTITY_API_KEY:
	case BF_ENTITY_SESSION_END:
	case BF_ENTITY_TYPE_MAX:
		break;
	}
}

const char *entity_noun(uint32_t type)
{
	static const char *const nouns[BF_ENTITY_TYPE_MAX] = {
	    [BF_ENTITY_CUSTOMER] = "customer",
	    [BF_ENTITY_TEAM] = "team",
	    [BF_ENTITY_VIRTUAL_KEY] = "virtual key",
	    [BF_ENTITY_RATE_LIMIT] = "rate limit",
	    [BF_ENTITY_MODEL_CONFIG] = "model config",
	    [BF_ENTITY_PROVIDER_LIMITS] = "limits of a provider",
	    [BF_ENTITY_PRICING_OVERRIDE] = "pricing override",
	    [BF_ENTITY_PROVIDER] = "provider",
	    [BF_ENTITY_PRICING] = "price",
	    [BF_ENTITY_MODEL_CATALOG] = "list of models",
	    [BF_ENTITY_CLIENT_CONFIG] = "client configuration",
	    [BF_ENTITY_AUTH_CONFIG] = "auth configuration",
	    [BF_ENTITY_API_KEY] = "API key",
	    [BF_ENTITY_SESSION_END] = "session",
	};

	return type < BF_ENTITY_TYPE_MAX && nouns[type] ? nouns[type] : "entity";
}
