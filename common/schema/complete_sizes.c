/*
 * What writerd keeps of an entry of the file has a bound, as what it keeps of any entity. Called by
 * complete.c once everything is in its place. Must never let pass what could not be taken over.
 */
#include <stdio.h>

#include "common/schema/config_auth.h"
#include "common/schema/config_owners.h"
#include "common/schema/model_catalog.h"
#include "common/schema/owners.h"
#include "common/schema/value.h"

/* What is kept differs from what is counted here: a key's hint stands for its value, and a rate
 * limit that stood at its owner goes back there. */
#define KEPT_BYTES 128
#define RATE_BYTES 640

struct sizes {
	struct bf_whole *w;
	struct bf_buf bytes;
};

static void check(struct sizes *s, const struct bf_table *table, const void *object, size_t more,
		  const char *path, const struct bf_node *node)
{
	int r;

	bf_buf_clear(&s->bytes);
	r = bf_table_encode_mp_sparse(table, object, &s->bytes);
	if (r == 0 && bf_buf_len(&s->bytes) + KEPT_BYTES + more <= BF_ENTITY_BYTES_MAX)
		return;
	bf_diag(s->w->diags, BF_DIAG_ERROR, bf_node_pos(node),
		"%s: takes more than %u KiB with all its lists: give them fewer entries, or share "
		"them out among several",
		path, BF_ENTITY_BYTES_MAX >> 10);
}

/* Of a list of the governance block that are no owners. */
static void check_list(struct sizes *s, const struct bf_table *table, const struct bf_array *list,
		       const char *block)
{
	const struct bf_node *nodes = bf_governance_block(s->w, block);
	const struct bf_node *node = nodes ? nodes->first : NULL;
	char path[BF_OWNER_PATH_MAX];

	for (uint32_t i = 0; i < list->count; i++, node = node ? node->next : NULL) {
		(void)snprintf(path, sizeof(path), "governance.%s[%u]", block, i);
		check(s, table, bf_array_at(list, table->size, i), 0, path, node);
	}
}

static size_t rates_of(const struct bf_owner_ref *owner)
{
	size_t count = owner->own->rate_limit_id.len > 0;
	const struct bf_conf_provider_config *configs;
	const struct bf_conf_virtual_key *key;

	if (owner->kind != BF_OWNER_VIRTUAL_KEY)
		return count;
	key = bf_key_of(owner);
	configs = key->provider_configs.items;
	for (uint32_t i = 0; i < key->provider_configs.count; i++)
		count += configs[i].own.rate_limit_id.len > 0;
	return count;
}

static void check_owners(struct sizes *s)
{
	static const struct bf_table *const tables[BF_OWNER_COUNT] = {
	    [BF_OWNER_PROVIDER] = &bf_provider_limits_table,
	    [BF_OWNER_MODEL_CONFIG] = &bf_model_config_table,
	    [BF_OWNER_VIRTUAL_KEY] = &bf_virtual_key_table,
	    [BF_OWNER_TEAM] = &bf_team_table,
	    [BF_OWNER_CUSTOMER] = &bf_customer_table,
	};
	const struct bf_owners *o = s->w->owners;
	char path[BF_OWNER_PATH_MAX];

	for (uint32_t i = 0; i < o->count; i++) {
		const struct bf_owner_ref *owner = &o->items[i];

		/* Provider configs are parts of their key. */
		if (tables[owner->kind])
			check(s, tables[owner->kind], owner->own, RATE_BYTES * rates_of(owner),
			      bf_owner_path(owner, path), owner->node);
	}
}

void bf_sizes_check(struct bf_whole *w)
{
	const struct bf_conf_governance *g = &w->config->governance;
	struct sizes s = {.w = w};

	bf_buf_init_nodump(&s.bytes, BF_ENTITY_BYTES_MAX);
	check_owners(&s);
	check_list(&s, &bf_pricing_override_table, &g->pricing_overrides, "pricing_overrides");
	check_list(&s, &bf_model_catalog_table, &g->model_catalogs, "model_catalogs");
	check(&s, &bf_auth_config_table, &g->auth_config, 0, "governance.auth_config",
	      bf_governance_block(w, "auth_config"));
	check(&s, &bf_client_live_table, &w->config->client, 0, "client",
	      bf_node_member(w->root, "client"));
	bf_buf_done(&s.bytes);
}
