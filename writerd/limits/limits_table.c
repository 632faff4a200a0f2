/*
 * The table of limits. Called by limits_follow.c for what changes, by limits_missed.c for each row
 * that needs a look. Must never cost more for a row because there are more limits.
 */
#include "writerd/limits/limits_table.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/base/siphash.h"
#include "writerd/row/row.h"

#define LEAST_PLACES 1024u
#define MODEL_BYTES  32u /* of a name: what goes beyond is told apart by who looks closely */
/* Of longer names the row may have lost what the hash is made of. */
#define MODEL_SURE_LEN (ROW_MODEL_LEN - MODEL_BYTES)

/* ---- hashes */

/* Names are those of the configuration and of what it admits, so the key need not be secret. */
static uint64_t hash_rows(uint32_t type, struct bf_slice text, struct bf_slice scope)
{
	static const uint8_t key[16] = "limits-of-rows.";
	char bytes[1 + ROW_MODEL_LEN + BF_ENTITY_ID_MAX];
	size_t n = 1;

	bytes[0] = (char)type;
	for (size_t i = 0; i < BF_MIN(text.len, (size_t)ROW_MODEL_LEN); i++)
		bytes[n++] = text.ptr[i];
	for (size_t i = 0; i < BF_MIN(scope.len, (size_t)BF_ENTITY_ID_MAX); i++)
		bytes[n++] = scope.ptr[i];
	return bf_siphash(key, bytes, n);
}

static uint64_t hash_provider(struct bf_slice name)
{
	return hash_rows(BF_ENTITY_PROVIDER_LIMITS, row_text_cut(name, ROW_PROVIDER_LEN),
			 (struct bf_slice){NULL, 0});
}

/* By the last part of its name, in small letters: whatever bf_model_is() takes for the same agrees
 * in it. */
static uint64_t hash_model(struct bf_slice scope, struct bf_slice model)
{
	const char *slash = model.len ? memrchr(model.ptr, '/', model.len) : NULL;
	char bytes[MODEL_BYTES];
	size_t n = 0;

	if (slash) {
		model.len -= (size_t)(slash + 1 - model.ptr);
		model.ptr = slash + 1;
	}
	for (; n < BF_MIN(model.len, (size_t)MODEL_BYTES); n++)
		bytes[n] = (char)tolower((unsigned char)model.ptr[n]);
	return hash_rows(BF_ENTITY_MODEL_CONFIG, (struct bf_slice){bytes, n}, scope);
}

static bool is_model(const struct limited *of)
{
	return of->type == BF_ENTITY_MODEL_CONFIG;
}

static bool has_rows_hash(const struct limited *of)
{
	return is_model(of) || of->type == BF_ENTITY_PROVIDER_LIMITS;
}

/* All its limits are about the same rows. */
static uint64_t rows_hash(const struct limited *of)
{
	struct bf_slice model = {NULL, 0};

	if (!is_model(of))
		return hash_provider(limited_text(of, of->id));
	if (of->count)
		model = limited_text(of, of->limits[0].model);
	if (model.len == 0)
		model = LIMITS_ANY_MODEL;
	else if (model.len > MODEL_SURE_LEN)
		model = LIMITS_LONG_MODELS;
	return hash_model(limited_text(of, of->scope), model);
}

/* ---- room */

int limits_table_open(struct limits_table *t)
{
	*t = (struct limits_table){.places = LEAST_PLACES};
	t->by_id = calloc(t->places, sizeof(struct limited *));
	t->by_rows = calloc(t->places, sizeof(struct limited *));
	t->by_ref = calloc(t->places, sizeof(struct limited_ref *));
	if (t->by_id && t->by_rows && t->by_ref)
		return 0;
	limits_table_close(t);
	return -ENOMEM;
}

void limits_table_close(struct limits_table *t)
{
	uint32_t at = 0;

	/* Those that leave are found by their numbers alone. */
	while (t->top > 0) {
		struct limit *limit = t->numbers[--t->top];

		if (limit && --limit->of->held == 0 && !limit->of->known)
			free(limit->of);
	}
	for (; t->by_id && at < t->places; at++) {
		for (struct limited *of = t->by_id[at], *next; of; of = next) {
			next = of->next_id;
			free(of);
		}
	}
	free(t->numbers);
	free(t->by_id);
	free(t->by_rows);
	free(t->by_ref);
	*t = (struct limits_table){.numbers = NULL};
}

static void link_ref(struct limits_table *t, struct limited_ref *ref)
{
	struct limited_ref **place = &t->by_ref[ref->key & (t->places - 1)];

	ref->next = *place;
	ref->at = place;
	if (ref->next)
		ref->next->at = &ref->next;
	*place = ref;
}

static void unlink_ref(struct limited_ref *ref)
{
	*ref->at = ref->next;
	if (ref->next)
		ref->next->at = ref->at;
}

static void link_in(struct limits_table *t, struct limited *of)
{
	struct limited **place = &t->by_id[of->id_hash & (t->places - 1)];

	of->next_id = *place;
	*place = of;
	for (uint32_t i = 0; i < of->ref_count; i++)
		link_ref(t, &of->refs[i]);
	if (!has_rows_hash(of))
		return;
	place = &t->by_rows[of->rows_hash & (t->places - 1)];
	of->next_rows = *place;
	*place = of;
}

static int widen_places(struct limits_table *t)
{
	struct limits_table wider = {.places = 2 * t->places};
	struct limited **old = t->by_id;

	wider.by_id = calloc(wider.places, sizeof(struct limited *));
	wider.by_rows = calloc(wider.places, sizeof(struct limited *));
	wider.by_ref = calloc(wider.places, sizeof(struct limited_ref *));
	if (!wider.by_id || !wider.by_rows || !wider.by_ref) {
		free(wider.by_id);
		free(wider.by_rows);
		free(wider.by_ref);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < t->places; i++) {
		for (struct limited *of = old[i], *next; of; of = next) {
			next = of->next_id;
			link_in(&wider, of);
		}
	}
	free(old);
	free(t->by_rows);
	free(t->by_ref);
	t->by_id = wider.by_id;
	t->by_rows = wider.by_rows;
	t->by_ref = wider.by_ref;
	t->places = wider.places;
	return 0;
}

static int widen_numbers(struct limits_table *t, uint32_t least)
{
	uint32_t room = BF_MAX(t->room, LEAST_PLACES);
	struct limit **wider;

	while (room < least)
		room *= 2;
	if (room == t->room)
		return 0;
	wider = realloc(t->numbers, room * sizeof(struct limit *));
	if (!wider)
		return -ENOMEM;
	t->numbers = wider;
	t->room = room;
	return 0;
}

int limits_table_reserve(struct limits_table *t, uint32_t limits, uint32_t refs)
{
	while (t->entities >= t->places || t->refs + refs > t->places)
		if (widen_places(t) < 0)
			return -ENOMEM;
	return widen_numbers(t, t->top + limits);
}

/* ---- entities */

void limits_table_enter(struct limits_table *t, struct limited *of)
{
	of->id_hash = entity_key(of->type, limited_text(of, of->id));
	of->rows_hash = has_rows_hash(of) ? rows_hash(of) : 0;
	link_in(t, of);
	of->known = true;
	t->entities++;
	t->models += is_model(of);
	t->refs += of->ref_count;
}

void limits_table_leave(struct limits_table *t, struct limited *of)
{
	struct limited **at = &t->by_id[of->id_hash & (t->places - 1)];

	while (*at != of)
		at = &(*at)->next_id;
	*at = of->next_id;
	for (uint32_t i = 0; i < of->ref_count; i++)
		unlink_ref(&of->refs[i]);
	if (has_rows_hash(of)) {
		at = &t->by_rows[of->rows_hash & (t->places - 1)];
		while (*at != of)
			at = &(*at)->next_rows;
		*at = of->next_rows;
	}
	of->known = false;
	t->entities--;
	t->models -= is_model(of);
	t->refs -= of->ref_count;
	if (of->held == 0)
		free(of);
}

/* ---- numbers */

static void release(struct limited *of)
{
	if (--of->held == 0 && !of->known)
		free(of);
}

void limits_table_add(struct limits_table *t, struct limit *limit)
{
	while (t->hole < t->top && t->numbers[t->hole])
		t->hole++;
	limit->number = t->hole++;
	t->top = BF_MAX(t->top, t->hole);
	t->numbers[limit->number] = limit;
	t->count++;
	limit->of->held++;
}

void limits_table_replace(struct limits_table *t, struct limit *limit, struct limit *old)
{
	limit->number = old->number;
	t->numbers[limit->number] = limit;
	limit->of->held++;
	release(old->of);
}

void limits_table_remove(struct limits_table *t, struct limit *limit)
{
	t->numbers[limit->number] = NULL;
	t->hole = BF_MIN(t->hole, limit->number);
	t->count--;
	while (t->top > 0 && !t->numbers[t->top - 1])
		t->top--;
	release(limit->of);
}

/* ---- looking */

struct limited *limits_table_find(const struct limits_table *t, uint32_t type, struct bf_slice id)
{
	uint64_t hash = entity_key(type, id);
	struct limited *of = t->by_id[hash & (t->places - 1)];

	while (of && !(of->id_hash == hash && of->type == type &&
		       bf_slice_eq(limited_text(of, of->id), id)))
		of = of->next_id;
	return of;
}

static struct limited *of_hash(struct limited *of, uint64_t hash)
{
	while (of && of->rows_hash != hash)
		of = of->next_rows;
	return of;
}

static struct limited *first_of(const struct limits_table *t, uint64_t hash)
{
	return of_hash(t->by_rows[hash & (t->places - 1)], hash);
}

struct limited *limits_table_provider(const struct limits_table *t, struct bf_slice provider)
{
	return first_of(t, hash_provider(provider));
}

struct limited *limits_table_models(const struct limits_table *t, struct bf_slice scope,
				    struct bf_slice model)
{
	return first_of(t, hash_model(scope, model));
}

struct limited *limits_table_next(const struct limited *of)
{
	return of_hash(of->next_rows, of->rows_hash);
}

struct limited_ref *limits_table_refs(const struct limits_table *t, uint64_t key)
{
	return t->by_ref[key & (t->places - 1)];
}

struct limited *limits_table_each(const struct limits_table *t, uint32_t *io_at,
				  struct limited *last)
{
	struct limited *of = last ? last->next_id : NULL;

	while (!of && *io_at < t->places)
		of = t->by_id[(*io_at)++];
	return of;
}
