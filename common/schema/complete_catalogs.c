/*
 * Lists of models of the file: each of a provider that there is, one a provider, each name once.
 * Called by complete_governance.c, also when the file has errors.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/schema/config_priv.h"
#include "common/schema/model_catalog.h"

#define WHERE_MAX 64

/* Of one that is no list the only entry is the node itself. */
static const struct bf_node *name_node(const struct bf_node *entry, int64_t i)
{
	const struct bf_node *models = bf_node_member(entry, "models");

	return models && models->type == BF_NODE_LIST ? bf_node_child(models, (uint32_t)i) : models;
}

static void check_one(struct bf_whole *w, const struct bf_model_catalog *catalog, uint32_t i,
		      const struct bf_node *node)
{
	const struct bf_slice *names = catalog->models.items;
	char where[WHERE_MAX];
	int64_t twice;

	(void)snprintf(where, sizeof(where), "governance.model_catalogs[%" PRIu32 "].provider", i);
	bf_provider_reference(w, where, bf_pos_of(node, "provider"), catalog->provider);
	twice = bf_model_catalog_twice(&catalog->models, w->arena);
	if (twice < 0)
		bf_whole_is_full(w);
	/* Of those that the decoder refused nothing is left, and none is like another. */
	else if (twice < catalog->models.count && names[twice].len)
		bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(name_node(node, twice)),
			"governance.model_catalogs[%" PRIu32 "].models[%" PRId64
			"]: \"%.*s\" stands there before: give each name once",
			i, twice, BF_SLICE_FMT(names[twice]));
}

void bf_catalogs_complete(struct bf_whole *w)
{
	const struct bf_array *list = &w->config->governance.model_catalogs;
	const struct bf_node *block = bf_governance_block(w, "model_catalogs");
	const struct bf_model_catalog *items = list->items;
	struct bf_refs providers;

	if (bf_refs_init(w, &providers, list->count) < 0)
		return;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct bf_node *node = bf_node_child(block, i);

		check_one(w, &items[i], i, node);
		bf_refs_add(&providers, items[i].provider, bf_node_member(node, "provider"));
	}
	bf_refs_check(w, &providers, "list of models", "provider", false);
	bf_refs_done(&providers);
}
