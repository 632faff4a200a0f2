/*
 * Entities as JSON, by walking their tables. Called for the answers to changes and to questions.
 * Must never write a secret but the one that its holder is shown once.
 */
#include "writerd/entity/entity_json.h"

#include <stdio.h>
#include <string.h>

#include "common/schema/config_owners.h"
#include "common/schema/decimal.h"
#include "common/schema/entity_parse.h"
#include "common/schema/model_catalog.h"

/* Whose limits are being written. */
struct showing {
	const struct entity_usages *usages;
	struct bf_slice owner_id;
};

static void write_table(struct bf_json_writer *w, const struct bf_table *table, const void *object,
			const struct showing *in);

static const void *slot_of(const struct bf_field *f, const void *object)
{
	return (const char *)object + f->offset;
}

/* ---- usage */

static bool usage_of(const struct showing *in, struct bf_slice limit_id, enum bf_quantity quantity,
		     struct entity_usage *ret_usage)
{
	return in->usages &&
	       in->usages->of(in->usages->ctx, in->owner_id, limit_id, quantity, ret_usage);
}

static void write_amount(struct bf_json_writer *w, const char *key, enum bf_quantity quantity,
			 int64_t amount)
{
	char text[BF_DECIMAL_BYTES];

	bf_jw_key(w, key);
	bf_jw_raw(w, bf_slice_from(
			 bf_decimal_format(amount, quantity == BF_QUANTITY_NUSD ? 9 : 0, text)));
}

/* "token_" before each name, or nothing. */
static void write_usage(struct bf_json_writer *w, const struct showing *in,
			struct bf_slice limit_id, enum bf_quantity quantity, const char *prefix)
{
	struct entity_usage u;
	char key[64];

	if (!usage_of(in, limit_id, quantity, &u))
		return;
	(void)snprintf(key, sizeof(key), "%scurrent_usage", prefix);
	write_amount(w, key, quantity, u.used);
	(void)snprintf(key, sizeof(key), "%sheld", prefix);
	write_amount(w, key, quantity, u.held);
	if (u.end_ms == 0)
		return;
	(void)snprintf(key, sizeof(key), "%swindow_start", prefix);
	bf_jw_key(w, key);
	bf_time_write_json(u.start_ms, w);
	(void)snprintf(key, sizeof(key), "%swindow_end", prefix);
	bf_jw_key(w, key);
	bf_time_write_json(u.end_ms, w);
}

/* ---- fields */

static bool is_shown(const struct bf_field *f)
{
	/* An id that nobody gives is no member: what is shown could not be sent back. */
	if (f->type == BF_T_SECRET || (f->flags & BF_INTERNAL && strcmp(f->name, "id") == 0))
		return false;
	return !(f->flags & BF_HIDDEN) || f->sub == &bf_inline_rate_limit_table;
}

/* Which of the five owners a budget names: in entities it stands at its owner. */
static bool is_owner_of_budget(const struct bf_table *table, const struct bf_field *f)
{
	return table == &bf_budget_table && f->type == BF_T_STRING && strcmp(f->name, "id") != 0 &&
	       strlen(f->name) > 3 && strcmp(f->name + strlen(f->name) - 3, "_id") == 0;
}

static void write_list(struct bf_json_writer *w, const struct bf_field *f,
		       const struct bf_array *list, const struct showing *in)
{
	const char *items = list->items;

	if (f->flags & BF_OR_ONE) {
		if (list->count)
			write_table(w, f->sub, items, in);
		else
			bf_jw_null(w);
		return;
	}
	bf_jw_array(w);
	for (uint32_t i = 0; i < list->count; i++)
		write_table(w, f->sub, items + i * f->sub->size, in);
	bf_jw_end_array(w);
}

/* Without what it must have it was not given. */
static bool lacks_all(const struct bf_table *table, const void *object)
{
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];
		const struct bf_slice *text = slot_of(f, object);

		if (f->flags & BF_REQUIRED && f->type == BF_T_STRING && text->len == 0)
			return true;
	}
	return false;
}

/* A key for all models says so: an empty list that came back would deny them all. That of what a
 * provider has is none, and says that. */
static bool is_open(const struct bf_table *table, const struct bf_field *f, const void *slot)
{
	return f->type == BF_T_STRINGS && strcmp(f->name, "models") == 0 &&
	       table != &bf_model_catalog_table && ((const struct bf_array *)slot)->count == 0;
}

static void write_field(struct bf_json_writer *w, const struct bf_table *table,
			const struct bf_field *f, const void *object, const struct showing *in)
{
	const void *slot = slot_of(f, object);

	bf_jw_key(w, f->name);
	if (f->type == BF_T_LIST)
		write_list(w, f, slot, in);
	else if (is_open(table, f, slot))
		bf_jw_raw(w, BF_SLICE_LIT("[\"*\"]"));
	else if (f->type == BF_T_OBJECT && lacks_all(f->sub, slot))
		bf_jw_null(w);
	else if (f->type == BF_T_OBJECT)
		write_table(w, f->sub, slot, in);
	else if (f->type == BF_T_STRING && ((const struct bf_slice *)slot)->len == 0)
		bf_jw_null(w);
	else
		bf_field_write_json(f, slot, w);
}

static void write_fields(struct bf_json_writer *w, const struct bf_table *table, const void *object,
			 const struct showing *in)
{
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (is_shown(f) && !is_owner_of_budget(table, f))
			write_field(w, table, f, object, in);
	}
}

/* What its override gives now; of those that are over nothing is left. */
static void write_override(struct bf_json_writer *w, const struct bf_conf_budget *budget,
			   const struct showing *in)
{
	struct entity_usage u;

	if (budget->override_amount_nusd == 0 || !usage_of(in, budget->id, BF_QUANTITY_NUSD, &u))
		return;
	write_amount(w, "effective_max_limit", BF_QUANTITY_NUSD, budget->max_limit_nusd + u.extra);
	if (budget->override_cycles) {
		bf_jw_key(w, "override_cycles_remaining");
		bf_jw_i64(w, u.extra_windows);
	}
	if (u.extra_end_ms == INT64_MAX)
		return;
	bf_jw_key(w, "override_ends_at");
	bf_time_write_json(u.extra_end_ms, w);
}

static void write_budget(struct bf_json_writer *w, const struct bf_conf_budget *budget,
			 const struct showing *in)
{
	write_fields(w, &bf_budget_table, budget, in);
	write_override(w, budget, in);
	write_usage(w, in, budget->id, BF_QUANTITY_NUSD, "");
}

static void write_rate_limit(struct bf_json_writer *w, const struct bf_conf_rate_limit *limit,
			     const struct showing *in)
{
	write_fields(w, &bf_inline_rate_limit_table, limit, in);
	write_usage(w, in, limit->id, BF_QUANTITY_TOKENS, "token_");
	write_usage(w, in, limit->id, BF_QUANTITY_REQUESTS, "request_");
	write_usage(w, in, limit->id, BF_QUANTITY_CONCURRENT, "concurrent_");
}

/* The id of what may own limits; of others it is never asked for. */
static struct bf_slice id_of(const struct bf_table *table, const void *object)
{
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (f->type == BF_T_STRING && strcmp(f->name, "id") == 0)
			return *(const struct bf_slice *)slot_of(f, object);
	}
	return (struct bf_slice){NULL, 0};
}

static void write_hint(struct bf_json_writer *w, const struct bf_conf_provider_key *key)
{
	char hint[BF_SECRET_HINT_BYTES];

	bf_jw_key(w, "value_hint");
	if (key->value.len)
		bf_jw_cstr(w, bf_secret_hint(key->value, hint));
	else
		bf_jw_null(w);
}

static void write_table(struct bf_json_writer *w, const struct bf_table *table, const void *object,
			const struct showing *in)
{
	struct showing own = {in->usages, id_of(table, object)};

	bf_jw_object(w);
	if (table == &bf_provider_key_table)
		write_hint(w, object);
	if (table == &bf_budget_table)
		write_budget(w, object, in);
	else if (table == &bf_inline_rate_limit_table)
		write_rate_limit(w, object, in);
	else
		write_fields(w, table, object, own.owner_id.len ? &own : in);
	bf_jw_end_object(w);
}

/* ---- entities */

static void write_text(struct bf_json_writer *w, const char *key, struct bf_slice text)
{
	bf_jw_key(w, key);
	bf_jw_string(w, text);
}

/* What no table knows: the same of every entity. */
static void write_frame(struct bf_json_writer *w, const struct bf_entity *e)
{
	bf_jw_key(w, "version");
	bf_jw_u64(w, e->version);
	bf_jw_key(w, "created_at");
	bf_time_write_json(e->created_ms, w);
	bf_jw_key(w, "updated_at");
	bf_time_write_json(e->updated_ms, w);
	bf_jw_key(w, "from_file");
	bf_jw_bool(w, (e->flags & BF_ENTITY_FROM_FILE) != 0);
	if (e->flags & BF_ENTITY_QUARANTINED) {
		bf_jw_key(w, "quarantined");
		bf_jw_bool(w, true);
	}
}

static void write_entity(struct bf_json_writer *w, const struct bf_entity_def *def,
			 const struct bf_entity *e, const void *object,
			 const struct entity_usages *usages, struct bf_slice value)
{
	const struct showing in = {usages, e->id};

	bf_jw_object(w);
	write_fields(w, def->table, object, &in);
	if (value.len)
		write_text(w, "value", value);
	write_frame(w, e);
	bf_jw_end_object(w);
}

void entity_json(struct bf_json_writer *w, const struct bf_entity_def *def,
		 const struct bf_entity *e, const void *object, const struct entity_usages *usages)
{
	write_entity(w, def, e, object, usages, (struct bf_slice){NULL, 0});
}

void entity_json_once(struct bf_json_writer *w, const struct bf_entity_def *def,
		      const struct bf_entity *e, const void *object, struct bf_slice value)
{
	write_entity(w, def, e, object, NULL, value);
}

void entity_part_json(struct bf_json_writer *w, const struct bf_entity_def *part,
		      const void *object)
{
	const struct showing in = {NULL, {NULL, 0}};

	write_table(w, part->table, object, &in);
}

void entity_part_json_of(struct bf_json_writer *w, const struct bf_entity_def *part,
			 const void *object, const char *member, struct bf_slice whose)
{
	const struct showing in = {NULL, {NULL, 0}};

	bf_jw_object(w);
	write_text(w, member, whose);
	if (part->table == &bf_provider_key_table)
		write_hint(w, object);
	write_fields(w, part->table, object, &in);
	bf_jw_end_object(w);
}

/* ---- limits apart from their owners */

static void write_owner(struct bf_json_writer *w, const char *owner_kind,
			const struct bf_conf_owner *own)
{
	if (!owner_kind)
		return;
	write_text(w, "owner_type", bf_slice_from(owner_kind));
	write_text(w, "owner_id", own->id);
	write_text(w, "owner_name", own->name);
}

void entity_budget_json(struct bf_json_writer *w, const struct bf_conf_budget *budget,
			const char *owner_kind, const struct bf_conf_owner *own,
			const struct entity_usages *usages)
{
	const struct showing in = {usages, own->id};

	bf_jw_object(w);
	write_budget(w, budget, &in);
	write_owner(w, owner_kind, own);
	bf_jw_end_object(w);
}

void entity_rate_limit_json(struct bf_json_writer *w, const struct bf_conf_rate_limit *limit,
			    const char *owner_kind, const struct bf_conf_owner *own,
			    const struct entity_usages *usages)
{
	const struct showing in = {usages, own ? own->id : (struct bf_slice){NULL, 0}};

	bf_jw_object(w);
	write_rate_limit(w, limit, &in);
	write_owner(w, own ? owner_kind : NULL, own);
	bf_jw_end_object(w);
}

/* ---- a key's holder */

static void write_limits(struct bf_json_writer *w, const struct bf_conf_owner *own,
			 const struct showing *in)
{
	const struct bf_conf_budget *budgets = own->budgets.items;

	bf_jw_key(w, "budgets");
	bf_jw_array(w);
	for (uint32_t i = 0; i < own->budgets.count; i++)
		write_table(w, &bf_budget_table, &budgets[i], in);
	bf_jw_end_array(w);
	bf_jw_key(w, "rate_limit");
	if (own->rate_limit.count)
		write_table(w, &bf_inline_rate_limit_table, own->rate_limit.items, in);
	else
		bf_jw_null(w);
}

void entity_quota_json(struct bf_json_writer *w, const struct bf_conf_virtual_key *key,
		       const struct entity_usages *usages)
{
	const struct bf_conf_provider_config *configs = key->provider_configs.items;
	struct showing in = {usages, key->own.id};

	bf_jw_key(w, "is_active");
	bf_jw_bool(w, key->is_active);
	bf_jw_key(w, "expires_at");
	bf_time_write_json(key->expires_at_ms, w);
	write_limits(w, &key->own, &in);
	bf_jw_key(w, "provider_configs");
	bf_jw_array(w);
	for (uint32_t i = 0; i < key->provider_configs.count; i++) {
		in.owner_id = configs[i].own.id;
		bf_jw_object(w);
		write_text(w, "provider", configs[i].provider);
		write_limits(w, &configs[i].own, &in);
		bf_jw_end_object(w);
	}
	bf_jw_end_array(w);
}
