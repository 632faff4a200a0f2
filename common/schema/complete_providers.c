/*
 * What is true of the providers and their keys as a whole, and what of one needs the place in the
 * file to be told. Called by complete.c, also when some blocks had errors. Must never show a
 * secret.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "common/base/rand.h"
#include "common/schema/config_priv.h"
#include "common/schema/provider_name.h"

/* One key of one provider, for the checks over all of them. */
struct key_ref {
	struct bf_slice text;
	const struct bf_node *node;
};

static int compare_refs(const void *va, const void *vb)
{
	const struct key_ref *a = va, *b = vb;
	size_t shorter = a->text.len < b->text.len ? a->text.len : b->text.len;
	int r = memcmp(a->text.ptr, b->text.ptr, shorter);

	if (r != 0)
		return r;
	if (a->text.len != b->text.len)
		return a->text.len < b->text.len ? -1 : 1;
	struct bf_pos x = bf_node_pos(a->node), y = bf_node_pos(b->node);
	if (x.line != y.line)
		return x.line < y.line ? -1 : 1;
	return x.col < y.col ? -1 : x.col > y.col;
}

static void report_repeats(struct bf_whole *w, struct key_ref *refs, size_t count, const char *what)
{
	qsort(refs, count, sizeof(*refs), compare_refs);
	for (size_t i = 1; i < count; i++)
		if (bf_slice_eq(refs[i - 1].text, refs[i].text))
			bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(refs[i].node),
				"the key %s \"%.*s\" stands in line %u already: every key needs "
				"its own",
				what, BF_SLICE_FMT(refs[i].text),
				bf_node_pos(refs[i - 1].node).line);
}

/* As Bifrost reads it, [] denies every model in version 2; who wrote it may have meant either. */
static void check_models(struct bf_whole *w, const struct bf_node *key)
{
	const struct bf_node *models = bf_node_member(key, "models");

	if (w->config->version == 2 && models && models->type == BF_NODE_LIST && models->count == 0)
		bf_diag(w->diags, BF_DIAG_ERROR, models->pos,
			"an empty list of models denies all of them in version 2: write [\"*\"] "
			"for all, or enabled: false");
}

/* The same key always gets the same id: rows and metrics of two starts fit together. */
static void derive_id(struct bf_whole *w, struct bf_conf_provider_key *key)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char text[BF_UUID_TEXT_LEN + 1];
	struct bf_uuid id;

	(void)SHA256((const unsigned char *)key->name.ptr, key->name.len, hash);
	memcpy(id.bytes, hash, sizeof(id.bytes));
	id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x80); /* version 8: of our own making */
	id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
	bf_uuid_format(&id, text);
	key->id = bf_arena_dup(w->arena, bf_slice_from(text));
	if (!key->id.ptr)
		bf_diag(w->diags, BF_DIAG_ERROR, (struct bf_pos){0, 0},
			"the configuration does not fit into memory");
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
	struct key_ref *names, *ids;
	size_t name_count, id_count;
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
		refs->names[refs->name_count++] =
		    (struct key_ref){keys[i].name, bf_node_member(node, "name")};
		if (keys[i].id.len == 0)
			derive_id(w, &keys[i]);
		else
			refs->ids[refs->id_count++] =
			    (struct key_ref){keys[i].id, bf_node_member(node, "id")};
	}
}

void bf_providers_complete(struct bf_whole *w)
{
	struct bf_conf_provider *providers = w->config->providers.items;
	const struct bf_node *map = bf_node_member(w->root, "providers");
	struct key_refs refs = {NULL, NULL, 0, 0};
	size_t keys = 0;

	for (uint32_t i = 0; i < w->config->providers.count; i++)
		keys += providers[i].keys.count;
	refs.names = calloc(keys + 1, sizeof(*refs.names));
	refs.ids = calloc(keys + 1, sizeof(*refs.ids));
	if (!refs.names || !refs.ids) {
		bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(map),
			"the configuration does not fit into memory");
	} else {
		for (uint32_t i = 0; i < w->config->providers.count; i++) {
			const struct bf_node *node = bf_node_child(map, i);

			visit_keys(w, &providers[i], bf_node_member(node, "keys"), &refs);
			check_network(w, &providers[i], bf_node_member(node, "network_config"));
		}
		report_repeats(w, refs.names, refs.name_count, "name");
		report_repeats(w, refs.ids, refs.id_count, "id");
	}
	free(refs.names);
	free(refs.ids);
}
