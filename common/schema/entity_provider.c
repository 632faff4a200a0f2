/*
 * Providers and their keys as a client writes them. Called by entity_parse.c and entity_complete.c.
 * Must never take what stands for a secret for the secret itself.
 */
#include "common/schema/entity_priv.h"

#include <stdio.h>
#include <string.h>

#include "common/base/macros.h"

#define HIDDEN           "***" /* as values of headers are shown */
#define HINT_CHARACTERS  4u
#define HINT_LEAST_BYTES 12u /* of a shorter value the end would tell too much */

static const struct bf_field batch_fields[] = {
    {.name = "key_ids",
     .type = BF_T_STRINGS,
     BF_FIELD(bf_keys_batch, key_ids),
     .max = BF_PROVIDER_KEYS_MAX,
     .flags = BF_REQUIRED,
     .doc = "Ids of keys of the provider."},
    {.name = "enabled",
     .type = BF_T_BOOL,
     BF_FIELD(bf_keys_batch, enabled),
     .flags = BF_REQUIRED,
     .doc = "Whether they are used."},
};

const struct bf_table bf_keys_batch_table = {
    .name = "keys",
    .size = sizeof(struct bf_keys_batch),
    BF_ROWS(batch_fields),
    .doc = "What several keys shall be.",
};

const char *bf_secret_hint(struct bf_slice value, char out[BF_SECRET_HINT_BYTES])
{
	bool tells = value.len >= HINT_LEAST_BYTES;

	for (size_t i = 0; tells && i < HINT_CHARACTERS; i++) {
		unsigned char c = (unsigned char)value.ptr[value.len - 1 - i];

		tells = c > 0x20 && c < 0x7f;
	}
	(void)snprintf(out, BF_SECRET_HINT_BYTES, "\xe2\x80\xa6%.*s",
		       tells ? (int)HINT_CHARACTERS : 0,
		       tells ? value.ptr + value.len - HINT_CHARACTERS : "");
	return out;
}

void entity_rename(const struct bf_entity_body *body)
{
	if (body->table != &bf_provider_table || bf_node_member(body->root, "name"))
		return;
	for (struct bf_node *node = body->root->first; node; node = node->next)
		if (bf_slice_is(node->key, "provider"))
			node->key = BF_SLICE_LIT("name");
}

/* ---- secrets */

static bool stands_for(struct bf_slice text, struct bf_slice secret)
{
	char hint[BF_SECRET_HINT_BYTES];

	return text.len == 0 || bf_slice_is(text, HIDDEN) ||
	       bf_slice_is(text, bf_secret_hint(secret, hint));
}

static void keep_key(const struct bf_conf_provider_key *old, struct bf_conf_provider_key *key)
{
	if (stands_for(key->value, old->value))
		key->value = old->value;
	if (key->id.len == 0)
		key->id = old->id;
}

static const struct bf_conf_provider_key *key_like(const struct bf_array *list,
						   const struct bf_conf_provider_key *key)
{
	const struct bf_conf_provider_key *keys = list->items;

	for (uint32_t i = 0; i < list->count; i++)
		if (key->id.len ? bf_slice_eq(keys[i].id, key->id)
				: bf_slice_eq(keys[i].name, key->name))
			return &keys[i];
	return NULL;
}

static void keep_keys(const struct bf_conf_provider *before, struct bf_conf_provider *provider)
{
	struct bf_conf_provider_key *keys = provider->keys.items;

	for (uint32_t i = 0; i < provider->keys.count; i++) {
		const struct bf_conf_provider_key *old = key_like(&before->keys, &keys[i]);

		if (old)
			keep_key(old, &keys[i]);
	}
}

static void keep_header(struct bf_entity_body *body, const struct bf_array *before,
			struct bf_conf_pair *header)
{
	const struct bf_conf_pair *old = before->items;

	for (uint32_t i = 0; i < before->count; i++) {
		if (bf_slice_eq(old[i].name, header->name)) {
			header->value = old[i].value;
			return;
		}
	}
	bf_entity_blame(body, "network_config.extra_headers",
			"\"" HIDDEN
			"\" stands for a value that there is, and there is none: write it");
}

static void keep_headers(struct bf_entity_body *body, const struct bf_conf_provider *before,
			 struct bf_conf_provider *provider)
{
	struct bf_array *list = &provider->network_config.extra_headers;
	struct bf_conf_pair *items = list->items;

	for (uint32_t i = 0; i < list->count; i++)
		if (bf_slice_is(items[i].value, HIDDEN))
			keep_header(body, &before->network_config.extra_headers, &items[i]);
}

void entity_keep_secrets(struct bf_entity_body *body, void *object)
{
	if (body->table == &bf_provider_key_table)
		keep_key(body->before, object);
	if (body->table != &bf_provider_table)
		return;
	/* What the body does not give is that of before itself. */
	if (bf_entity_gives(body, "keys"))
		keep_keys(body->before, object);
	if (bf_entity_gives(body, "network_config"))
		keep_headers(body, body->before, object);
}

/* ---- as the loader does */

void entity_complete_provider(struct bf_entity_body *body, const struct bf_config *config,
			      struct bf_conf_provider *provider)
{
	struct bf_config small = {.version = config->version, .providers = {provider, 1}};
	struct bf_node map = {.type = BF_NODE_MAP, .count = 1, .first = body->root};
	struct bf_node root = {.type = BF_NODE_MAP, .count = 1, .first = &map};
	struct bf_whole whole = {
	    .config = &small, .root = &root, .arena = body->arena, .diags = &body->diags};

	map.key = BF_SLICE_LIT("providers");
	if (body->root)
		body->root->key = provider->name;
	else
		map.first = NULL;
	bf_providers_complete(&whole);
	if (body->diags.error_count == 0)
		bf_networks_settle(&whole);
	if (body->root)
		body->root->key = (struct bf_slice){NULL, 0};
}

int bf_provider_settle(const struct bf_config *config, struct bf_conf_provider *provider,
		       struct bf_arena *arena, struct bf_err *err)
{
	struct bf_entity_body body = {.table = &bf_provider_table, .arena = arena};
	const struct bf_problem_part *parts;

	bf_diags_init(&body.diags, BF_SLICE_LIT("body"), arena);
	entity_complete_provider(&body, config, provider);
	if (body.diags.error_count == 0)
		return bf_provider_check_live(provider, err);
	parts = bf_entity_parts(&body).items;
	return bf_err_set(
	    err, BF_E_SYNTAX, "%.*s",
	    BF_SLICE_FMT(parts ? parts[0].message : BF_SLICE_LIT("does not fit into memory")));
}
