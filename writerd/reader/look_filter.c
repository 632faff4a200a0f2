/*
 * What is asked for. Called for each entity of a page. Must never let pass what one of the filters
 * excludes: all that are given hold.
 */
#include "writerd/reader/look_filter.h"

#include <string.h>
#include <strings.h>

#include "common/schema/config.h"
#include "common/snapshot/entity.h"

static bool holds(struct bf_slice text, struct bf_slice piece)
{
	for (size_t i = 0; i + piece.len <= text.len; i++) {
		if (strncasecmp(text.ptr + i, piece.ptr, piece.len) == 0)
			return true;
	}
	return false;
}

bool look_is_called(const struct bf_msg_entity_query *q, struct bf_slice id, struct bf_slice name)
{
	return q->search.len == 0 || holds(id, q->search) || holds(name, q->search);
}

bool look_has_filters(const struct bf_msg_entity_query *q)
{
	return q->team_id.len || q->customer_id.len || q->virtual_key_id.len || q->provider.len ||
	       q->scope.len || q->provider_key_id.len;
}

/* Not asked for, or the same. */
static bool is(struct bf_slice wanted, struct bf_slice found)
{
	return wanted.len == 0 || bf_slice_eq(wanted, found);
}

static bool key_matches(const struct bf_conf_virtual_key *key, const struct bf_msg_entity_query *q)
{
	const struct bf_conf_provider_config *configs = key->provider_configs.items;

	if (!is(q->team_id, key->team_id) || !is(q->customer_id, key->customer_id))
		return false;
	for (uint32_t i = 0; q->provider.len && i < key->provider_configs.count; i++) {
		if (bf_slice_eq(configs[i].provider, q->provider))
			return true;
	}
	return q->provider.len == 0;
}

/* By the name that the table of an object has for the value of one of its members. */
static bool is_named(struct bf_slice wanted, const struct bf_table *table, const char *member,
		     int32_t value)
{
	for (uint16_t i = 0; wanted.len && i < table->field_count; i++) {
		if (strcmp(table->fields[i].name, member) == 0)
			return bf_slice_is(wanted, table->fields[i].choices[value]);
	}
	return wanted.len == 0;
}

static bool price_matches(const struct bf_conf_pricing_override *price,
			  const struct bf_msg_entity_query *q)
{
	return is(q->virtual_key_id, price->virtual_key_id) &&
	       is(q->provider, price->provider_id) &&
	       is(q->provider_key_id, price->provider_key_id) &&
	       is_named(q->scope, bf_entity_def(BF_ENTITY_PRICING_OVERRIDE)->table, "scope_kind",
			price->scope_kind);
}

bool look_matches(const struct bf_msg_entity_query *q, uint32_t type, const void *object)
{
	const struct bf_conf_model_config *model = object;

	switch (type) {
	case BF_ENTITY_VIRTUAL_KEY:
		return key_matches(object, q);
	case BF_ENTITY_TEAM:
		return is(q->customer_id, ((const struct bf_conf_team *)object)->customer_id);
	case BF_ENTITY_MODEL_CONFIG:
		return is(q->virtual_key_id, model->scope_id) && is(q->provider, model->provider) &&
		       is_named(q->scope, bf_entity_def(type)->table, "scope", model->scope);
	case BF_ENTITY_PRICING_OVERRIDE:
		return price_matches(object, q);
	default:
		return true;
	}
}
