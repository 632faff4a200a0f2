/*
 * What is true of a configuration as a whole. Called by load.c after every block was decoded, also
 * when some had errors: it must then report nothing that is only an echo of them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "common/base/num.h"
#include "common/base/rand.h"
#include "common/schema/config_priv.h"

/* What the checks need to know of where things stood; every node may be NULL. */
struct whole {
	struct bf_config *config;
	const struct bf_node *root;
	struct bf_arena *arena;
	struct bf_diags *diags;
};

static const struct bf_node *given(const struct whole *w, const char *block, const char *key)
{
	const struct bf_node *node = bf_node_member(bf_node_member(w->root, block), key);

	return node && !bf_node_is_null(node) ? node : NULL;
}

static struct bf_pos pos_of(const struct bf_node *node)
{
	return node ? node->pos : (struct bf_pos){0, 0};
}

static const struct bf_node *child_at(const struct bf_node *parent, uint32_t index)
{
	const struct bf_node *child = parent ? parent->first : NULL;

	while (child && index-- > 0)
		child = child->next;
	return child;
}

static void check_any_provider(struct whole *w)
{
	const struct bf_node *node = bf_node_member(w->root, "providers");

	/* A block of the wrong type was reported by the decoder. */
	if (node && !bf_node_is_null(node) && (node->type != BF_NODE_MAP || node->count > 0))
		return;
	bf_diag(w->diags, BF_DIAG_ERROR, pos_of(node),
		"providers: at least one provider is needed: add \"providers: {mock: {}}\" to try "
		"it out");
}

static void check_listen(struct whole *w)
{
	const struct bf_node *node = given(w, "server", "listen");
	const struct bf_slice *items = w->config->server.listen.items;
	uint32_t count = w->config->server.listen.count;
	struct bf_err err;

	if (count == 0 && node && node->type == BF_NODE_LIST && node->count == 0)
		bf_diag(w->diags, BF_DIAG_ERROR, node->pos,
			"server.listen: is empty: give at least one address");
	for (uint32_t i = 0; i < count; i++) {
		bool is_list = node && node->type == BF_NODE_LIST;
		struct bf_pos pos = pos_of(is_list ? child_at(node, i) : node);

		/* One of the wrong type was reported by the decoder. */
		if (!items[i].ptr)
			continue;
		if (bf_listen_check(items[i], &err) < 0)
			bf_diag(w->diags, BF_DIAG_ERROR, pos, "server.listen: %s", err.text);
		for (uint32_t k = 0; k < i; k++)
			if (bf_slice_eq(items[i], items[k]))
				bf_diag(w->diags, BF_DIAG_ERROR, pos,
					"server.listen: \"%.*s\" stands there twice: remove one",
					BF_SLICE_FMT(items[i]));
	}
}

static void check_workers(struct whole *w)
{
	uint64_t workers = w->config->supervisor.workers ? w->config->supervisor.workers : 1;
	uint64_t addresses = w->config->server.listen.count;

	if (workers * addresses > BF_LISTENERS_MAX)
		bf_diag(w->diags, BF_DIAG_ERROR, pos_of(given(w, "server", "listen")),
			"server.listen: %" PRIu64 " addresses for %" PRIu64
			" workers make more than %d sockets: "
			"listen on fewer, or set fewer supervisor.workers",
			addresses, workers, BF_LISTENERS_MAX);
}

static void check_bodies(struct whole *w)
{
	char largest[32], memory[32];
	uint64_t body = w->config->client.max_request_body_size_bytes;

	if (body <= w->config->server.body_memory_bytes)
		return;
	const struct bf_node *node = given(w, "server", "body_memory");
	if (!node)
		node = given(w, "client", "max_request_body_size_mb");
	bf_diag(w->diags, BF_DIAG_ERROR, pos_of(node),
		"client.max_request_body_size_mb (%s) is above server.body_memory (%s): such a "
		"request could never be "
		"served; raise the one or lower the other",
		bf_format_size(body, largest),
		bf_format_size(w->config->server.body_memory_bytes, memory));
}

static void check_paths(struct whole *w)
{
	if (w->config->config_store.enabled && w->config->logs_store.enabled &&
	    bf_slice_eq(w->config->config_store.path, w->config->logs_store.path))
		bf_diag(w->diags, BF_DIAG_ERROR, pos_of(bf_node_member(w->root, "logs_store")),
			"logs_store.config.path and config_store.config.path are the same file: "
			"give each its own");
}

static void settle_retention(struct whole *w)
{
	const struct bf_node *old = given(w, "client", "log_retention_days");
	const struct bf_node *new = given(w, "logs_store", "retention_days");
	int64_t *days = &w->config->logs_store.retention_days;

	if (old && !new)
		*days = w->config->client.log_retention_days;
	if (old && new && w->config->client.log_retention_days != *days)
		bf_diag(w->diags, BF_DIAG_ERROR, old->pos,
			"client.log_retention_days contradicts logs_store.retention_days: remove "
			"the former");
	w->config->client.log_retention_days = *days;
}

/* Rows can go nowhere without a store. */
static void settle_logging(struct whole *w)
{
	const struct bf_node *node = given(w, "client", "enable_logging");

	if (w->config->logs_store.enabled || !w->config->client.enable_logging)
		return;
	w->config->client.enable_logging = false;
	if (node)
		bf_diag(w->diags, BF_DIAG_ERROR, node->pos,
			"client.enable_logging: needs logs_store.enabled: true; set one of them "
			"otherwise");
}

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
	struct bf_pos x = pos_of(a->node), y = pos_of(b->node);
	if (x.line != y.line)
		return x.line < y.line ? -1 : 1;
	return x.col < y.col ? -1 : x.col > y.col;
}

static void report_repeats(struct whole *w, struct key_ref *refs, size_t count, const char *what)
{
	qsort(refs, count, sizeof(*refs), compare_refs);
	for (size_t i = 1; i < count; i++)
		if (bf_slice_eq(refs[i - 1].text, refs[i].text))
			bf_diag(w->diags, BF_DIAG_ERROR, pos_of(refs[i].node),
				"the key %s \"%.*s\" stands in line %u already: every key needs "
				"its own",
				what, BF_SLICE_FMT(refs[i].text), pos_of(refs[i - 1].node).line);
}

/* As Bifrost reads it, [] denies every model in version 2; who wrote it may have meant either. */
static void check_models(struct whole *w, const struct bf_node *key)
{
	const struct bf_node *models = bf_node_member(key, "models");

	if (w->config->version == 2 && models && models->type == BF_NODE_LIST && models->count == 0)
		bf_diag(w->diags, BF_DIAG_ERROR, models->pos,
			"an empty list of models denies all of them in version 2: write [\"*\"] "
			"for all, or enabled: false");
}

/* The same key always gets the same id: rows and metrics of two starts fit together. */
static void derive_id(struct whole *w, struct bf_conf_provider_key *key)
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

static void warn_clear_text(struct whole *w, const struct bf_conf_provider *p,
			    const struct bf_node *node)
{
	struct bf_slice url = p->network_config.base_url;
	const struct bf_node *where =
	    bf_node_member(bf_node_member(node, "network_config"), "base_url");

	if (p->keys.count && bf_slice_starts(url, BF_SLICE_LIT("http://")) &&
	    !bf_url_is_loopback(url))
		bf_diag(
		    w->diags, BF_DIAG_WARNING, pos_of(where),
		    "providers.%.*s: keys and prompts go unencrypted over http://: use https://",
		    BF_SLICE_FMT(p->name));
}

struct key_refs {
	struct key_ref *names, *ids;
	size_t name_count, id_count;
};

static void visit_keys(struct whole *w, struct bf_conf_provider *p, const struct bf_node *list,
		       struct key_refs *refs)
{
	struct bf_conf_provider_key *keys = p->keys.items;

	for (uint32_t i = 0; i < p->keys.count; i++) {
		const struct bf_node *node = child_at(list, i);

		check_models(w, node);
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

static void complete_providers(struct whole *w)
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
		bf_diag(w->diags, BF_DIAG_ERROR, pos_of(map),
			"the configuration does not fit into memory");
	} else {
		for (uint32_t i = 0; i < w->config->providers.count; i++) {
			const struct bf_node *node = child_at(map, i);

			visit_keys(w, &providers[i], bf_node_member(node, "keys"), &refs);
			warn_clear_text(w, &providers[i], node);
		}
		report_repeats(w, refs.names, refs.name_count, "name");
		report_repeats(w, refs.ids, refs.id_count, "id");
	}
	free(refs.names);
	free(refs.ids);
}

void bf_config_complete(struct bf_config *config, const struct bf_node *root,
			struct bf_arena *arena, struct bf_diags *diags)
{
	struct whole w = {config, root, arena, diags};

	check_any_provider(&w);
	check_listen(&w);
	complete_providers(&w);
	settle_retention(&w);
	settle_logging(&w);
	/* These compare two values of which one may be a default in place of a wrong one. */
	if (diags->error_count)
		return;
	check_workers(&w);
	check_bodies(&w);
	check_paths(&w);
}
