/*
 * Providers and their keys: changes of one key, and what must be so of all of them together. Called
 * by change.c. Must never show the value of a key.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/codec/json_writer.h"
#include "common/net/tls.h"
#include "common/schema/config_owners.h"
#include "common/schema/provider_name.h"
#include "writerd/change/change_priv.h"
#include "writerd/entity/entity_refs.h"

/* ---- those that there are */

bool change_providers(struct change *c, struct bf_config *io_config)
{
	uint32_t room = entities_count(c->r->t, BF_ENTITY_PROVIDER), count = 0;
	struct bf_conf_provider *items = bf_arena_alloc(c->arena, room * sizeof(*items));

	for (const struct entity *x = entities_next(c->r->t, BF_ENTITY_PROVIDER, NULL);
	     items && x && count < room; x = entities_next(c->r->t, BF_ENTITY_PROVIDER, x)) {
		if (bf_entity_decode(&x->e, &items[count], c->arena, NULL) < 0)
			return change_no(c, 500, "internal_error",
					 "what there is of providers cannot be read");
		count++;
	}
	if (!items)
		return change_no(c, 500, "internal_error", "no memory");
	io_config->providers = (struct bf_array){count ? items : NULL, count};
	return true;
}

/* ---- what there was: a fault that the file brought keeps nobody from changing something else */

static const struct bf_conf_provider *provider_before(const struct change *c)
{
	return c->before ? entity_object(c->before, c->arena) : NULL;
}

static const struct bf_conf_provider_key *key_before(const struct bf_conf_provider *before,
						     const struct bf_conf_provider_key *key)
{
	const struct bf_conf_provider_key *keys = before ? before->keys.items : NULL;

	for (uint32_t i = 0; before && i < before->keys.count; i++)
		if (bf_slice_eq(keys[i].id, key->id) && bf_slice_eq(keys[i].name, key->name))
			return &keys[i];
	return NULL;
}

/* ---- a key is one of all providers' */

static bool check_key(struct change *c, const struct bf_conf_provider *other,
		      const struct bf_conf_provider_key *key)
{
	const struct bf_conf_provider_key *keys = other->keys.items;

	for (uint32_t i = 0; i < other->keys.count; i++) {
		bool is_named = bf_slice_eq(keys[i].name, key->name);

		if (&keys[i] == key || (!is_named && !bf_slice_eq(keys[i].id, key->id)))
			continue;
		return change_no(c, 409, "duplicate",
				 "\"%.*s\" is the %s of another key, of the provider \"%.*s\"",
				 BF_SLICE_FMT(is_named ? key->name : key->id),
				 is_named ? "name" : "id", BF_SLICE_FMT(other->name));
	}
	return true;
}

static bool check_keys(struct change *c, const struct bf_conf_provider *provider)
{
	const struct bf_conf_provider_key *keys = provider->keys.items;
	const struct bf_conf_provider *others, *before = provider_before(c);
	struct bf_config config = {.version = 2};

	if (!change_providers(c, &config))
		return false;
	others = config.providers.items;
	for (uint32_t k = 0; k < provider->keys.count; k++) {
		if (!check_key(c, provider, &keys[k]))
			return false;
		for (uint32_t i = 0; i < config.providers.count; i++)
			if (!bf_slice_eq(others[i].name, provider->name) &&
			    !key_before(before, &keys[k]) && !check_key(c, &others[i], &keys[k]))
				return false;
	}
	return true;
}

/* ---- all of it */

static bool check_certificates(struct change *c, const struct bf_conf_provider *provider)
{
	struct bf_slice pem = provider->network_config.ca_cert_pem;
	struct bf_tls_trust *trust = NULL;
	struct bf_err err = {0};

	if (pem.len && bf_tls_trust_pem(pem, &trust, &err) < 0)
		return change_no(c, 400, "invalid_request", "network_config.ca_cert_pem: %s",
				 err.text);
	bf_tls_trust_free(trust);
	return true;
}

static bool check_room(struct change *c)
{
	if (c->before || entities_count(c->r->t, BF_ENTITY_PROVIDER) < BF_PROVIDERS_MAX)
		return true;
	return change_no(c, 409, "too_many", "there are %d providers, and there can be no more",
			 BF_PROVIDERS_MAX);
}

bool change_check_provider(struct change *c)
{
	if (c->ask->type != BF_ENTITY_PROVIDER)
		return true;
	return check_room(c) && check_certificates(c, c->object) && check_keys(c, c->object);
}

/* ---- one key */

static struct bf_conf_provider_key *find_key(const struct bf_conf_provider *provider,
					     struct bf_slice id)
{
	struct bf_conf_provider_key *keys = provider->keys.items;

	for (uint32_t i = 0; i < provider->keys.count; i++)
		if (bf_slice_eq(keys[i].id, id))
			return &keys[i];
	return NULL;
}

static bool no_key(struct change *c, struct bf_slice id)
{
	return change_no(c, 404, "not_found",
			 "the provider \"%.*s\" has no key with the id \"%.*s\"",
			 BF_SLICE_FMT(c->id), BF_SLICE_FMT(id));
}

/* What only the loader sees of one: it has the file before it. */
static bool check_members(struct change *c, const struct bf_conf_provider *provider,
			  const struct bf_conf_provider_key *key)
{
	static const enum bf_provider_kind own[] = {BF_PROVIDER_OLLAMA, BF_PROVIDER_SGL,
						    BF_PROVIDER_VLLM};
	char member[32];

	for (size_t i = 0; i < BF_ARRAY_LEN(own); i++) {
		(void)snprintf(member, sizeof(member), "%s_key_config",
			       bf_provider_kind_name(own[i]));
		if (bf_entity_gives(&c->body, member) &&
		    bf_provider_kind_of(provider->name) != own[i])
			bf_entity_blame(&c->body, member, "is for another provider: remove it");
	}
	if (c->r->config->version == 2 && bf_entity_gives(&c->body, "models") &&
	    key->models.count == 0)
		bf_entity_blame(&c->body, "models",
				"an empty list denies all of them in version 2: write [\"*\"] for "
				"all, or enabled: false");
	return c->body.diags.error_count == 0 || change_no_parts(c, 400, "invalid_request");
}

static bool parse_key(struct change *c, const struct bf_conf_provider *provider,
		      const struct bf_conf_provider_key *before,
		      struct bf_conf_provider_key *ret_key)
{
	if (bf_entity_parse(c->part->table, c->ask->body, before, c->arena, ret_key, &c->body) < 0)
		return change_no_parts(c, 400, "invalid_request");
	if (before && !bf_slice_eq(before->id, ret_key->id)) {
		bf_entity_blame(&c->body, "id", "is another one than that of the path");
		return change_no_parts(c, 400, "invalid_request");
	}
	return change_version_fits(c) && check_members(c, provider, ret_key);
}

static bool settle(struct change *c, struct bf_conf_provider *provider)
{
	struct bf_err err = {0};

	/* Names first: an id is made of one. */
	if (!check_keys(c, provider))
		return false;
	if (bf_provider_settle(c->r->config, provider, c->arena, &err) < 0)
		return change_no(c, 400, "invalid_request", "%s", err.text);
	c->object = provider;
	return check_keys(c, provider);
}

static void create_key(struct change *c, struct bf_conf_provider *provider)
{
	uint32_t count = provider->keys.count;
	struct bf_conf_provider_key *keys = bf_arena_alloc(c->arena, (count + 1) * sizeof(*keys));

	if (!keys || count == BF_PROVIDER_KEYS_MAX) {
		(void)change_no(c, 409, "too_many", "the provider has %u keys: remove one first",
				count);
		return;
	}
	if (count)
		memcpy(keys, provider->keys.items, count * sizeof(*keys));
	if (!parse_key(c, provider, NULL, &keys[count]))
		return;
	provider->keys = (struct bf_array){keys, count + 1};
	c->part_object = &keys[count];
	if (settle(c, provider))
		change_put(c, 201, "created");
}

static void update_key(struct change *c, struct bf_conf_provider *provider)
{
	struct bf_conf_provider_key *key = find_key(provider, c->ask->sub_id), changed;

	if (!key) {
		(void)no_key(c, c->ask->sub_id);
		return;
	}
	if (!parse_key(c, provider, key, &changed))
		return;
	*key = changed;
	c->part_object = key;
	if (settle(c, provider))
		change_put(c, 200, "updated");
}

static void delete_key(struct change *c, struct bf_conf_provider *provider)
{
	struct bf_conf_provider_key *keys = provider->keys.items;
	struct bf_conf_provider_key *key = find_key(provider, c->ask->sub_id);

	if (!key) {
		(void)no_key(c, c->ask->sub_id);
		return;
	}
	if (!change_version_fits(c))
		return;
	provider->keys.count--;
	memmove(key, key + 1, (size_t)(keys + provider->keys.count - key) * sizeof(*keys));
	if (settle(c, provider))
		change_put(c, 200, "deleted");
}

/* ---- several keys, in one change: all of them or none */

static bool parse_batch(struct change *c, const struct bf_conf_provider *provider,
			struct bf_keys_batch *ret_batch)
{
	const struct bf_slice *ids;

	if (bf_entity_parse(&bf_keys_batch_table, c->ask->body, NULL, c->arena, ret_batch,
			    &c->body) < 0)
		return change_no_parts(c, 400, "invalid_request");
	ids = ret_batch->key_ids.items;
	if (ret_batch->key_ids.count == 0) {
		bf_entity_blame(&c->body, "key_ids", "names no key");
		return change_no_parts(c, 400, "invalid_request");
	}
	for (uint32_t i = 0; i < ret_batch->key_ids.count; i++)
		if (!find_key(provider, ids[i]))
			return no_key(c, ids[i]);
	return change_version_fits(c);
}

static void answer_batch(struct change *c, uint32_t updated)
{
	struct bf_json_writer w;

	bf_buf_clear(&c->answer->json);
	bf_jw_init(&w, &c->answer->json);
	bf_jw_object(&w);
	bf_jw_key(&w, "message");
	bf_jw_cstr(&w, "Keys updated successfully");
	bf_jw_key(&w, "updated");
	bf_jw_u64(&w, updated);
	bf_jw_end_object(&w);
	if (bf_jw_finish(&w) < 0)
		(void)change_no(c, 500, "internal_error", "the answer does not fit into memory");
}

static void update_keys(struct change *c, struct bf_conf_provider *provider)
{
	struct bf_keys_batch batch;
	const struct bf_slice *ids;

	if (!parse_batch(c, provider, &batch))
		return;
	ids = batch.key_ids.items;
	for (uint32_t i = 0; i < batch.key_ids.count; i++)
		find_key(provider, ids[i])->enabled = batch.enabled;
	if (!settle(c, provider))
		return;
	change_put(c, 200, "updated");
	if (c->answer->changed)
		answer_batch(c, batch.key_ids.count);
}

void change_part(struct change *c)
{
	struct bf_conf_provider *provider;

	c->part = bf_entity_part((uint32_t)c->ask->type);
	if (!c->part) {
		(void)change_no(c, 400, "invalid_request", "it has no parts");
		return;
	}
	if (!change_is_there(c))
		return;
	provider = entity_object(c->before, c->arena);
	if (!provider)
		(void)change_no(c, 500, "internal_error", "what there is of it cannot be read");
	else if (c->ask->action == BF_ENTITY_CREATE)
		create_key(c, provider);
	else if (c->ask->action == BF_ENTITY_UPDATE && c->ask->sub_id.len == 0)
		update_keys(c, provider);
	else if (c->ask->action == BF_ENTITY_UPDATE)
		update_key(c, provider);
	else if (c->ask->action == BF_ENTITY_DELETE)
		delete_key(c, provider);
	else
		(void)change_no(c, 501, "not_built", "this build does not do that to a key");
}
