/*
 * What is true of a configuration as a whole. Called by load.c after every block was decoded, also
 * when some had errors: it must then report nothing that is only an echo of them.
 */
#include <inttypes.h>

#include "common/base/num.h"
#include "common/schema/config_priv.h"

static const struct bf_node *given(const struct bf_whole *w, const char *block, const char *key)
{
	const struct bf_node *node = bf_node_member(bf_node_member(w->root, block), key);

	return node && !bf_node_is_null(node) ? node : NULL;
}

static void check_any_provider(struct bf_whole *w)
{
	const struct bf_node *node = bf_node_member(w->root, "providers");

	/* A block of the wrong type was reported by the decoder. */
	if (node && !bf_node_is_null(node) && (node->type != BF_NODE_MAP || node->count > 0))
		return;
	bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(node),
		"providers: at least one provider is needed: add \"providers: {mock: {}}\" to try "
		"it out");
}

static void check_listen(struct bf_whole *w)
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
		struct bf_pos pos = bf_node_pos(is_list ? bf_node_child(node, i) : node);

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

static void check_workers(struct bf_whole *w)
{
	uint64_t workers = w->config->supervisor.workers ? w->config->supervisor.workers : 1;
	uint64_t addresses = w->config->server.listen.count;

	if (workers * addresses > BF_LISTENERS_MAX)
		bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(given(w, "server", "listen")),
			"server.listen: %" PRIu64 " addresses for %" PRIu64
			" workers make more than %d sockets: "
			"listen on fewer, or set fewer supervisor.workers",
			addresses, workers, BF_LISTENERS_MAX);
}

static void check_bodies(struct bf_whole *w)
{
	char largest[32], memory[32];
	uint64_t body = w->config->client.max_request_body_size_bytes;

	if (body <= w->config->server.body_memory_bytes)
		return;
	const struct bf_node *node = given(w, "server", "body_memory");
	if (!node)
		node = given(w, "client", "max_request_body_size_mb");
	bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(node),
		"client.max_request_body_size_mb (%s) is above server.body_memory (%s): such a "
		"request could never be "
		"served; raise the one or lower the other",
		bf_format_size(body, largest),
		bf_format_size(w->config->server.body_memory_bytes, memory));
}

static void check_paths(struct bf_whole *w)
{
	if (w->config->config_store.enabled && w->config->logs_store.enabled &&
	    bf_slice_eq(w->config->config_store.path, w->config->logs_store.path))
		bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(bf_node_member(w->root, "logs_store")),
			"logs_store.config.path and config_store.config.path are the same file: "
			"give each its own");
}

static void settle_retention(struct bf_whole *w)
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
static void settle_logging(struct bf_whole *w)
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

static void settle_enforcement(struct bf_whole *w)
{
	const struct bf_node *old = given(w, "client", "enforce_governance_header");
	const struct bf_node *new = given(w, "client", "enforce_auth_on_inference");
	struct bf_conf_client *client = &w->config->client;

	if (old && !new)
		client->enforce_auth_on_inference = client->enforce_governance_header;
	if (old && new && client->enforce_governance_header != client->enforce_auth_on_inference)
		bf_diag(w->diags, BF_DIAG_ERROR, old->pos,
			"client.enforce_governance_header contradicts "
			"client.enforce_auth_on_inference: remove the former");
	client->enforce_governance_header = client->enforce_auth_on_inference;
}

void bf_config_complete(struct bf_config *config, const struct bf_node *root,
			struct bf_arena *arena, struct bf_diags *diags)
{
	struct bf_whole w = {.config = config, .root = root, .arena = arena, .diags = diags};

	config->names_version = bf_is_given(root, "version");
	check_any_provider(&w);
	check_listen(&w);
	bf_providers_complete(&w);
	settle_retention(&w);
	settle_logging(&w);
	settle_enforcement(&w);
	bf_auth_complete(&w);
	bf_governance_complete(&w);
	/* These compare two values of which one may be a default in place of a wrong one. */
	if (diags->error_count)
		return;
	bf_networks_settle(&w);
	bf_governance_settle(&w);
	bf_sizes_check(&w);
	check_workers(&w);
	check_bodies(&w);
	check_paths(&w);
}
