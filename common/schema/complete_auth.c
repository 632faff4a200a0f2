/*
 * Who may use the management API, over the whole file: one place of two, and keys that are told
 * apart. Called by complete.c, also when the file has errors. Must never show the value of a key.
 */
#include <inttypes.h>
#include <string.h>

#include "common/schema/config_auth.h"
#include "common/schema/config_priv.h"

/* ---- the login */

static void settle_login(struct bf_whole *w)
{
	struct bf_conf_auth_config *auth = &w->config->governance.auth_config;
	const struct bf_node *block = bf_governance_block(w, "auth_config");
	const struct bf_node *alias = bf_node_member(w->root, "auth_config");
	bool has_block = block && !bf_node_is_null(block);
	bool has_alias = alias && !bf_node_is_null(alias);

	if (has_block && has_alias)
		bf_diag(w->diags, BF_DIAG_ERROR, alias->pos,
			"auth_config: stands in governance too: keep governance.auth_config and "
			"remove this");
	else if (has_alias)
		*auth = w->config->auth_config;
	memset(&w->config->auth_config, 0, sizeof(w->config->auth_config));
	if (has_block || has_alias)
		auth->id = BF_SLICE_LIT(BF_AUTH_CONFIG_ID);
}

/* ---- keys */

static void settle_key(struct bf_whole *w, struct bf_conf_api_key *key, uint32_t i,
		       const struct bf_node *node)
{
	if (key->id.len == 0 && key->name.len)
		bf_id_derive(w, key->name, &key->id);
	/* One that is made would be shown to nobody. */
	if (node && node->type == BF_NODE_MAP && !bf_is_given(node, "value"))
		bf_diag(w->diags, BF_DIAG_ERROR, node->pos,
			"governance.api_keys[%" PRIu32 "]: \"value\" is missing: add a secret of "
			"its own, best as env.NAME or file.PATH",
			i);
}

static void settle_keys(struct bf_whole *w)
{
	const struct bf_node *block = bf_governance_block(w, "api_keys");
	const struct bf_array *list = &w->config->governance.api_keys;
	struct bf_conf_api_key *items = list->items;
	struct bf_refs ids, names, values;
	int r = bf_refs_init(w, &ids, list->count);

	r |= bf_refs_init(w, &names, list->count);
	r |= bf_refs_init(w, &values, list->count);
	for (uint32_t i = 0; i < list->count && r == 0; i++) {
		const struct bf_node *node = bf_node_child(block, i);

		settle_key(w, &items[i], i, node);
		bf_refs_add_id(&ids, items[i].id, node, "name");
		bf_refs_add(&names, items[i].name, bf_node_member(node, "name"));
		bf_refs_add(&values, items[i].value, bf_node_member(node, "value"));
	}
	if (r == 0) {
		bf_refs_check_both(w, &names, &ids, "API key");
		bf_refs_check(w, &values, "API key", "value", true);
	}
	bf_refs_done(&ids);
	bf_refs_done(&names);
	bf_refs_done(&values);
}

void bf_auth_complete(struct bf_whole *w)
{
	settle_login(w);
	settle_keys(w);
	if (w->config->governance.api_keys.count && !w->config->governance.auth_config.is_enabled)
		bf_diag(w->diags, BF_DIAG_WARNING, bf_node_pos(bf_governance_block(w, "api_keys")),
			"governance.api_keys: have no effect as long as nobody is asked who calls: "
			"add governance.auth_config with is_enabled: true, here or by the "
			"management API");
}
