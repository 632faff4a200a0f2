/*
 * What is true of the providers and their keys as a whole, and what of one needs the place in the
 * file to be told. Called by complete.c, also when some blocks had errors. Must never show a
 * secret.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/schema/config_priv.h"
#include "common/schema/provider_name.h"

/* As Bifrost reads it, [] denies every model in version 2; who wrote it may have meant either. */
static void check_models(struct bf_whole *w, const struct bf_node *key)
{
	const struct bf_node *models = bf_node_member(key, "models");

	if (w->config->version == 2 && models && models->type == BF_NODE_LIST && models->count == 0)
		bf_diag(w->diags, BF_DIAG_ERROR, models->pos,
			"an empty list of models denies all of them in version 2: write [\"*\"] "
			"for all, or enabled: false");
}

static bool is_clear_text(struct bf_slice url)
{
	return bf_slice_starts(url, BF_SLICE_LIT("http://")) && !bf_url_is_loopback(url);
}

static void warn_clear_text(struct bf_whole *w, const struct bf_conf_provider *p,
			    const struct bf_node *where)
{
	bf_diag(w->diags, BF_DIAG_WARNING, bf_node_pos(where),
		"providers.%.*s: keys and prompts go unencrypted over http://: use https://",
		BF_SLICE_FMT(p->name));
}

/* Such an address under another provider would send its requests elsewhere than the file says. */
static void check_server(struct bf_whole *w, const struct bf_conf_provider *p, uint32_t index,
			 const struct bf_node *key, enum bf_provider_kind kind)
{
	const struct bf_conf_provider_key *keys = p->keys.items;
	const char *name = bf_provider_kind_name(kind);
	char member[32];

	(void)snprintf(member, sizeof(member), "%s_key_config", name);
	const struct bf_node *node = bf_node_member(key, member);
	if (!node || bf_node_is_null(node))
		return;
	if (bf_provider_kind_of(p->name) != kind)
		bf_diag(w->diags, BF_DIAG_ERROR, node->key_pos,
			"providers.%.*s.keys[%u].%s: is for the provider \"%s\" only: give "
			"network_config.base_url instead",
			BF_SLICE_FMT(p->name), index, member, name);
	else if (keys[index].value.len && is_clear_text(bf_conf_key_server(p, &keys[index])->url))
		warn_clear_text(w, p, bf_node_member(node, "url"));
}

static void check_headers(struct bf_whole *w, const struct bf_conf_provider *p,
			  const struct bf_node *headers)
{
	const struct bf_conf_pair *pairs = p->network_config.extra_headers.items;

	for (uint32_t i = 0; i < p->network_config.extra_headers.count; i++) {
		const struct bf_node *node = bf_node_child(headers, i);

		for (size_t k = 0; k < pairs[i].value.len; k++) {
			unsigned char c = (unsigned char)pairs[i].value.ptr[k];

			if ((c >= 0x20 && c != 0x7f) || c == '\t')
				continue;
			bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(node),
				"providers.%.*s.network_config.extra_headers.%.*s: must be one "
				"line of text",
				BF_SLICE_FMT(p->name), BF_SLICE_FMT(pairs[i].name));
			break;
		}
		if (p->keys.count && node && bf_slice_is(pairs[i].name, "authorization"))
			bf_diag(w->diags, BF_DIAG_ERROR, node->key_pos,
				"providers.%.*s.network_config.extra_headers.authorization: the "
				"provider's keys go there: remove it, or the keys",
				BF_SLICE_FMT(p->name));
	}
}

static void check_network(struct bf_whole *w, const struct bf_conf_provider *p,
			  const struct bf_node *network)
{
	check_headers(w, p, bf_node_member(network, "extra_headers"));
	if (p->keys.count && is_clear_text(p->network_config.base_url))
		warn_clear_text(w, p, bf_node_member(network, "base_url"));
	if (p->network_config.insecure_skip_verify)
		bf_diag(w->diags, BF_DIAG_WARNING,
			bf_node_pos(bf_node_member(network, "insecure_skip_verify")),
			"providers.%.*s: its certificate is not checked: whoever sits on the way "
			"can read keys and prompts; ca_cert_pem is the safe way",
			BF_SLICE_FMT(p->name));
}

struct key_refs {
	struct bf_refs names, ids;
};

static void visit_keys(struct bf_whole *w, struct bf_conf_provider *p, const struct bf_node *list,
		       struct key_refs *refs)
{
	struct bf_conf_provider_key *keys = p->keys.items;

	for (uint32_t i = 0; i < p->keys.count; i++) {
		const struct bf_node *node = bf_node_child(list, i);

		check_models(w, node);
		check_server(w, p, i, node, BF_PROVIDER_OLLAMA);
		check_server(w, p, i, node, BF_PROVIDER_SGL);
		check_server(w, p, i, node, BF_PROVIDER_VLLM);
		if (keys[i].name.len == 0)
			continue;
		bf_refs_add(&refs->names, keys[i].name, bf_node_member(node, "name"));
		bf_refs_add(&refs->ids, keys[i].id, bf_node_member(node, "id"));
		if (keys[i].id.len == 0)
			bf_id_derive(w, keys[i].name, &keys[i].id);
	}
}

/* writerd takes it over whole, or not at all. */
static void check_size(struct bf_whole *w, const struct bf_conf_provider *p,
		       const struct bf_node *node)
{
	struct bf_buf bytes;

	bf_buf_init_nodump(&bytes, BF_ENTITY_BYTES_MAX);
	if (bf_table_encode_mp_sparse(&bf_provider_table, p, &bytes) < 0)
		bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(node),
			"providers.%.*s: takes more than %u KiB with its keys, their lists of "
			"models and its certificates: give it fewer",
			BF_SLICE_FMT(p->name), BF_ENTITY_BYTES_MAX >> 10);
	bf_buf_done(&bytes);
}

void bf_providers_complete(struct bf_whole *w)
{
	struct bf_conf_provider *providers = w->config->providers.items;
	const struct bf_node *map = bf_node_member(w->root, "providers");
	struct key_refs refs = {.names = {.items = NULL}};
	size_t keys = 0;

	for (uint32_t i = 0; i < w->config->providers.count; i++)
		keys += providers[i].keys.count;
	if (bf_refs_init(w, &refs.names, keys) == 0 && bf_refs_init(w, &refs.ids, keys) == 0) {
		for (uint32_t i = 0; i < w->config->providers.count; i++) {
			const struct bf_node *node = bf_node_child(map, i);

			visit_keys(w, &providers[i], bf_node_member(node, "keys"), &refs);
			check_network(w, &providers[i], bf_node_member(node, "network_config"));
			check_size(w, &providers[i], node);
		}
		bf_refs_check(w, &refs.names, "key", "name", false);
		bf_refs_check(w, &refs.ids, "key", "id", false);
	}
	bf_refs_done(&refs.names);
	bf_refs_done(&refs.ids);
}
