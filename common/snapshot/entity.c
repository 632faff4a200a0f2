/*
 * The registry of entities. Called by whoever makes, stores, shows or obeys one. Must never put the
 * value of a secret into a body.
 */
#include "common/snapshot/entity.h"

#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/schema/config_auth.h"
#include "common/schema/config_owners.h"
#include "common/schema/model_catalog.h"
#include "common/snapshot/prices.h"

static const struct bf_entity_def defs[BF_ENTITY_TYPE_MAX] = {
    [BF_ENTITY_CUSTOMER] = {.name = "customer",
			    .plural = "customers",
			    .table = &bf_customer_table,
			    .id_offset = offsetof(struct bf_conf_customer, own.id),
			    .name_offset = offsetof(struct bf_conf_customer, own.name)},
    [BF_ENTITY_TEAM] = {.name = "team",
			.plural = "teams",
			.table = &bf_team_table,
			.id_offset = offsetof(struct bf_conf_team, own.id),
			.name_offset = offsetof(struct bf_conf_team, own.name)},
    [BF_ENTITY_VIRTUAL_KEY] = {.name = "virtual_key",
			       .plural = "virtual_keys",
			       .table = &bf_virtual_key_table,
			       .id_offset = offsetof(struct bf_conf_virtual_key, own.id),
			       .name_offset = offsetof(struct bf_conf_virtual_key, own.name),
			       .value_offset = offsetof(struct bf_conf_virtual_key, value),
			       .has_secret = true},
    [BF_ENTITY_RATE_LIMIT] = {.name = "rate_limit",
			      .plural = "rate_limits",
			      .table = &bf_rate_limit_table,
			      .id_offset = offsetof(struct bf_conf_rate_limit, id),
			      .common = true},
    [BF_ENTITY_MODEL_CONFIG] = {.name = "model_config",
				.plural = "model_configs",
				.table = &bf_model_config_table,
				.id_offset = offsetof(struct bf_conf_model_config, own.id),
				.name_offset = offsetof(struct bf_conf_model_config, model_name),
				.scope_offset = offsetof(struct bf_conf_model_config, scope_id),
				.common = true},
    [BF_ENTITY_PROVIDER_LIMITS] = {.name = "provider_limits",
				   .plural = "providers",
				   .table = &bf_provider_limits_table,
				   .id_offset = offsetof(struct bf_conf_provider_limits, own.name),
				   .name_offset =
				       offsetof(struct bf_conf_provider_limits, own.name),
				   .common = true},
    [BF_ENTITY_PRICING_OVERRIDE] = {.name = "pricing_override",
				    .plural = "pricing_overrides",
				    .table = &bf_pricing_override_table,
				    .id_offset = offsetof(struct bf_conf_pricing_override, id),
				    .name_offset = offsetof(struct bf_conf_pricing_override, name),
				    .common = true},
    [BF_ENTITY_PROVIDER] = {.name = "provider",
			    .plural = "providers",
			    .table = &bf_provider_table,
			    .id_offset = offsetof(struct bf_conf_provider, name),
			    .name_offset = offsetof(struct bf_conf_provider, name),
			    .sealed = true,
			    .common = true},
    [BF_ENTITY_PRICING] = {.name = "price_sheet",
			   .plural = "price_sheets",
			   .table = &bf_price_piece_table,
			   .id_offset = offsetof(struct bf_price_piece, id),
			   .common = true},
    [BF_ENTITY_MODEL_CATALOG] = {.name = "model_catalog",
				 .plural = "model_catalogs",
				 .table = &bf_model_catalog_table,
				 .id_offset = offsetof(struct bf_model_catalog, provider),
				 .common = true},
    [BF_ENTITY_CLIENT_CONFIG] = {.name = "client_config",
				 .plural = "client_configs",
				 .table = &bf_client_live_table,
				 .fixed_id = "client",
				 .common = true},
    [BF_ENTITY_AUTH_CONFIG] = {.name = "auth_config",
			       .plural = "auth_configs",
			       .table = &bf_auth_config_table,
			       .id_offset = offsetof(struct bf_conf_auth_config, id),
			       .sealed = true},
    [BF_ENTITY_API_KEY] = {.name = "api_key",
			   .plural = "api_keys",
			   .table = &bf_api_key_table,
			   .id_offset = offsetof(struct bf_conf_api_key, id),
			   .name_offset = offsetof(struct bf_conf_api_key, name),
			   .value_offset = offsetof(struct bf_conf_api_key, value),
			   .has_secret = true},
    [BF_ENTITY_SESSION_END] = {.name = "session_end",
			       .plural = "session_ends",
			       .table = &bf_session_end_table,
			       .id_offset = offsetof(struct bf_conf_session_end, id)},
};

const struct bf_entity_def *bf_entity_def(uint32_t type)
{
	return type < BF_ENTITY_TYPE_MAX && defs[type].name ? &defs[type] : NULL;
}

const struct bf_entity_def *bf_entity_part(uint32_t type)
{
	static const struct bf_entity_def key = {
	    .name = "key",
	    .plural = "keys",
	    .table = &bf_provider_key_table,
	    .id_offset = offsetof(struct bf_conf_provider_key, id),
	    .name_offset = offsetof(struct bf_conf_provider_key, name),
	    .sealed = true};

	return type == BF_ENTITY_PROVIDER ? &key : NULL;
}

uint32_t bf_entity_type_of(struct bf_slice name)
{
	for (uint32_t t = 1; t < BF_ENTITY_TYPE_MAX; t++)
		if (defs[t].name && bf_slice_is(name, defs[t].name))
			return t;
	return 0;
}

static struct bf_slice text_at(const void *object, uint32_t offset)
{
	return *(const struct bf_slice *)(const void *)((const char *)object + offset);
}

_Static_assert(BF_ENTITY_BYTES_MAX <= BF_ENTITY_BODY_MAX, "what a file may hold fits");

#define OBJECT_MAX 1024u

static int encode(const struct bf_entity_def *def, const void *object, struct bf_buf *out)
{
	_Alignas(16) char copy[OBJECT_MAX];

	if (!def->value_offset)
		return bf_table_encode_mp_sparse(def->table, object, out);
	if (def->table->size > sizeof(copy))
		return BF_E_STATE;
	memcpy(copy, object, def->table->size);
	*(struct bf_slice *)(void *)(copy + def->value_offset) = (struct bf_slice){NULL, 0};
	return bf_table_encode_mp_sparse(def->table, copy, out);
}
_Static_assert(sizeof(struct bf_conf_virtual_key) <= OBJECT_MAX &&
		   sizeof(struct bf_conf_api_key) <= OBJECT_MAX,
	       "a copy has room");

int bf_entity_encode(uint32_t type, const void *object, struct bf_buf *out,
		     struct bf_entity *ret_entity)
{
	const struct bf_entity_def *def = bf_entity_def(type);
	size_t before = bf_buf_len(out);
	int r = def ? encode(def, object, out) : BF_E_UNKNOWN;

	if (r < 0)
		return r;
	*ret_entity = (struct bf_entity){
	    .type = type,
	    .id = def->fixed_id ? bf_slice_from(def->fixed_id) : text_at(object, def->id_offset),
	    .body = {out->data + out->start + before, bf_buf_len(out) - before},
	};
	if (def->name_offset)
		ret_entity->name = text_at(object, def->name_offset);
	if (def->scope_offset)
		ret_entity->scope = text_at(object, def->scope_offset);
	return 0;
}

int bf_entity_decode(const struct bf_entity *entity, void *object, struct bf_arena *arena,
		     struct bf_err *err)
{
	const struct bf_entity_def *def = bf_entity_def(entity->type);

	if (!def)
		return bf_err_set(err, BF_E_UNKNOWN, "entity: no type has the number %u",
				  (unsigned)entity->type);
	return bf_table_decode_mp(def->table, object, entity->body, arena, err);
}
