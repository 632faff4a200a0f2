/*
 * The table of entities: three hashes over intrusive nodes, and a list a type. Called by whoever
 * loads, changes or publishes them. Must never hand out one that was taken out.
 */
#include "writerd/entity/entities.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/nodump.h"
#include "common/base/rand.h"
#include "common/base/siphash.h"

#define LEAST_PLACES 1024u

enum hash {
	BY_ID,
	BY_NAME,
	BY_SECRET,
	HASHES,
};

struct entities {
	struct entity **places[HASHES];
	uint32_t place_count; /* of each; a power of two */
	uint32_t total;
	uint32_t live[BF_ENTITY_TYPE_MAX];
	uint8_t peak[BF_ENTITY_TYPE_MAX]; /* of limits */
	uint64_t bytes;
	struct bf_list lists[BF_ENTITY_TYPE_MAX];
	struct entities_walk *walk; /* NULL: nobody walks */
	uint32_t walks;
};

/* Ids and names come from clients: without a secret they could be chosen to stand in one place. */
static const uint8_t *hash_key(void)
{
	static uint8_t key[16];
	static bool made;

	if (!made)
		bf_rand_bytes(key, sizeof(key));
	made = true;
	return key;
}

static uint64_t hash_of(uint32_t type, struct bf_slice text)
{
	char bytes[BF_ENTITY_NAME_MAX + 1];
	size_t len = text.len < BF_ENTITY_NAME_MAX ? text.len : BF_ENTITY_NAME_MAX;

	bytes[0] = (char)type;
	if (len)
		memcpy(bytes + 1, text.ptr, len);
	return bf_siphash(hash_key(), bytes, len + 1);
}

uint64_t entity_key(uint32_t type, struct bf_slice id)
{
	return hash_of(type, id);
}

/* ---- one of them */

static bool is_sealed(uint32_t type)
{
	const struct bf_entity_def *def = bf_entity_def(type);

	return def && def->sealed;
}

static struct bf_slice keep(char **io_at, struct bf_slice text)
{
	struct bf_slice kept = {*io_at, text.len};

	if (text.len)
		memcpy(*io_at, text.ptr, text.len);
	(*io_at)[text.len] = '\0';
	*io_at += text.len + 1;
	return kept;
}

struct entity *entity_new(const struct bf_entity *e, const uint64_t *names, uint32_t name_count)
{
	size_t size = sizeof(struct entity) + name_count * sizeof(*names) + e->id.len +
		      e->name.len + e->scope.len + e->body.len + 4;
	struct entity *x = is_sealed(e->type) ? bf_nodump_alloc(&size) : calloc(1, size);
	char *at;

	if (!x)
		return NULL;
	x->bytes = size;
	x->e = *e;
	x->names = (uint64_t *)(void *)(x + 1);
	x->name_count = x->need_count = name_count;
	if (name_count)
		memcpy(x->names, names, name_count * sizeof(*names));
	at = (char *)(x->names + name_count);
	x->e.id = keep(&at, e->id);
	x->e.name = keep(&at, e->name);
	x->e.scope = keep(&at, e->scope);
	x->e.body = keep(&at, e->body);
	bf_list_init(&x->of_type);
	return x;
}

void entity_free(struct entity *x)
{
	if (!x)
		return;
	if (is_sealed(x->e.type))
		bf_nodump_free(x, x->bytes);
	else
		free(x);
}

bool entity_names(const struct entity *x, uint64_t key)
{
	for (uint32_t i = 0; i < x->name_count; i++)
		if (x->names[i] == key)
			return true;
	return false;
}

/* ---- places */

static bool has_place(const struct entity *x, enum hash h)
{
	const struct bf_entity_def *def = bf_entity_def(x->e.type);

	if (h == BY_ID)
		return true;
	if (!entity_is_live(x))
		return false;
	return h == BY_NAME ? x->e.name.len > 0 : def && def->has_secret;
}

static uint64_t place_hash(const struct entity *x, enum hash h)
{
	uint64_t word;

	if (h == BY_ID)
		return hash_of(x->e.type, x->e.id);
	if (h == BY_NAME)
		return hash_of(x->e.type, x->e.name);
	memcpy(&word, x->e.secret, sizeof(word));
	return word;
}

static struct entity **next_of(struct entity *x, enum hash h)
{
	return h == BY_ID ? &x->next_id : h == BY_NAME ? &x->next_name : &x->next_secret;
}

static void enter(struct entities *t, struct entity *x)
{
	for (enum hash h = 0; h < HASHES; h++) {
		if (!has_place(x, h))
			continue;
		struct entity **place = &t->places[h][place_hash(x, h) & (t->place_count - 1)];
		*next_of(x, h) = *place;
		*place = x;
	}
}

static void leave(struct entities *t, struct entity *x)
{
	for (enum hash h = 0; h < HASHES; h++) {
		struct entity **at = &t->places[h][place_hash(x, h) & (t->place_count - 1)];

		while (*at && *at != x)
			at = next_of(*at, h);
		if (*at)
			*at = *next_of(x, h);
		*next_of(x, h) = NULL;
	}
}

static int grow(struct entities *t, uint32_t count)
{
	struct entity **wider[HASHES] = {NULL};
	struct entity **old = t->places[BY_ID];
	uint32_t old_count = t->place_count;
	bool whole = true;

	for (enum hash h = 0; h < HASHES; h++) {
		wider[h] = calloc(count, sizeof(struct entity *));
		whole = whole && wider[h];
	}
	if (!whole) {
		for (enum hash h = 0; h < HASHES; h++)
			free(wider[h]);
		return -ENOMEM;
	}
	free(t->places[BY_NAME]);
	free(t->places[BY_SECRET]);
	memcpy(t->places, wider, sizeof(wider));
	t->place_count = count;
	for (uint32_t i = 0; i < old_count; i++) {
		for (struct entity *x = old[i], *next; x; x = next) {
			next = x->next_id;
			x->next_id = x->next_name = x->next_secret = NULL;
			enter(t, x);
		}
	}
	free(old);
	return 0;
}

/* ---- the table */

int entities_open(struct entities **ret_entities)
{
	struct entities *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	for (uint32_t type = 0; type < BF_ENTITY_TYPE_MAX; type++)
		bf_list_init(&t->lists[type]);
	if (grow(t, LEAST_PLACES) < 0) {
		free(t);
		return -ENOMEM;
	}
	*ret_entities = t;
	return 0;
}

void entities_close(struct entities *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->place_count; i++) {
		for (struct entity *x = t->places[BY_ID][i], *next; x; x = next) {
			next = x->next_id;
			entity_free(x);
		}
	}
	for (enum hash h = 0; h < HASHES; h++)
		free(t->places[h]);
	free(t);
}

static void count(struct entities *t, const struct entity *x, bool comes)
{
	uint32_t *live = &t->live[x->e.type];

	t->total = comes ? t->total + 1 : t->total - 1;
	t->bytes = comes ? t->bytes + x->bytes : t->bytes - x->bytes;
	if (entity_is_live(x))
		*live = comes ? *live + 1 : *live - 1;
}

static struct entity *of_link(struct bf_list *link)
{
	return (struct entity *)(void *)((char *)link - offsetof(struct entity, of_type));
}

/* Where old stood, x stands (NULL: nobody). */
static void mend_walk(struct entities *t, const struct entity *old, struct entity *x)
{
	struct bf_list *prev;

	if (!t->walk || t->walk->last != old)
		return;
	prev = old->of_type.prev;
	if (x && entity_is_live(x))
		t->walk->last = x;
	else
		t->walk->last = prev == &t->lists[old->e.type] ? NULL : of_link(prev);
}

/* In the place of old in its list, so that a change moves nothing. */
static void list_in(struct entities *t, struct entity *x, struct entity *old)
{
	bool replaces = old && !bf_list_empty(&old->of_type);

	if (entity_is_live(x))
		bf_list_append(replaces ? &old->of_type : &t->lists[x->e.type], &x->of_type);
	if (replaces)
		bf_list_remove(&old->of_type);
}

int entities_put(struct entities *t, struct entity *x, struct entity **ret_old)
{
	struct entity *old = entities_find(t, x->e.type, x->e.id);

	if (!old && t->total >= ENTITIES_MAX)
		return BF_E_FULL;
	if (!old && t->total >= t->place_count && grow(t, 2 * t->place_count) < 0)
		return -ENOMEM;
	if (old) {
		/* One that was deleted and is made again stands at the end of the list. */
		x->walked = old->walked;
		mend_walk(t, old, x);
		leave(t, old);
		count(t, old, false);
	}
	list_in(t, x, old);
	if (x->limits > t->peak[x->e.type])
		t->peak[x->e.type] = x->limits;
	enter(t, x);
	count(t, x, true);
	*ret_old = old;
	return 0;
}

struct entity *entities_take(struct entities *t, uint32_t type, struct bf_slice id)
{
	struct entity *x = entities_find(t, type, id);

	if (!x)
		return NULL;
	mend_walk(t, x, NULL);
	leave(t, x);
	bf_list_remove(&x->of_type);
	count(t, x, false);
	return x;
}

/* ---- looking */

struct entity *entities_find(const struct entities *t, uint32_t type, struct bf_slice id)
{
	struct entity *x = t->places[BY_ID][hash_of(type, id) & (t->place_count - 1)];

	while (x && !(x->e.type == type && bf_slice_eq(x->e.id, id)))
		x = x->next_id;
	return x;
}

struct entity *entities_live(const struct entities *t, uint32_t type, struct bf_slice id)
{
	struct entity *x = entities_find(t, type, id);

	return x && entity_is_live(x) ? x : NULL;
}

struct entity *entities_named(const struct entities *t, uint32_t type, struct bf_slice name)
{
	struct entity *x = t->places[BY_NAME][hash_of(type, name) & (t->place_count - 1)];

	while (x && !(x->e.type == type && bf_slice_eq(x->e.name, name)))
		x = x->next_name;
	return x;
}

struct entity *entities_with_secret(const struct entities *t, uint32_t type,
				    const uint8_t secret[BF_ENTITY_SECRET_LEN])
{
	struct entity *x;
	uint64_t word;

	memcpy(&word, secret, sizeof(word));
	x = t->places[BY_SECRET][word & (t->place_count - 1)];
	while (x && !(x->e.type == type && memcmp(x->e.secret, secret, BF_ENTITY_SECRET_LEN) == 0))
		x = x->next_secret;
	return x;
}

struct entity *entities_next(const struct entities *t, uint32_t type, const struct entity *x)
{
	const struct bf_list *end = &t->lists[type];
	struct bf_list *next = x ? x->of_type.next : end->next;

	return next == end ? NULL : of_link(next);
}

struct entity *entities_with_key(const struct entities *t, uint64_t key)
{
	struct entity *x = t->places[BY_ID][key & (t->place_count - 1)];

	while (x && !(entity_is_live(x) && hash_of(x->e.type, x->e.id) == key))
		x = x->next_id;
	return x;
}

struct entity *entities_other_with_secret(const struct entities *t, const struct entity *x,
					  const struct entity *last)
{
	struct entity *other =
	    last ? last->next_secret
		 : t->places[BY_SECRET][place_hash(x, BY_SECRET) & (t->place_count - 1)];

	while (other && (other == x || other->e.type != x->e.type ||
			 memcmp(other->e.secret, x->e.secret, BF_ENTITY_SECRET_LEN) != 0))
		other = other->next_secret;
	return other;
}

void entities_walk_begin(struct entities *t, struct entities_walk *walk)
{
	*walk = (struct entities_walk){.type = 1};
	t->walk = walk;
	t->walks++;
}

void entities_walk_end(struct entities *t)
{
	t->walk = NULL;
}

struct entity *entities_walk_next(struct entities *t)
{
	struct entities_walk *w = t->walk;

	for (; w->type < BF_ENTITY_TYPE_MAX; w->type++, w->last = NULL) {
		do
			w->last = entities_next(t, w->type, w->last);
		while (w->last && w->last->walked == t->walks);
		if (!w->last)
			continue;
		w->last->walked = t->walks;
		return w->last;
	}
	return NULL;
}

struct entity *entities_each(const struct entities *t, uint64_t *io_at)
{
	/* The upper half counts places, the lower one those within. */
	uint64_t place = *io_at >> 32, within = *io_at & UINT32_MAX;

	for (; place < t->place_count; place++, within = 0) {
		struct entity *x = t->places[BY_ID][place];

		for (uint64_t i = 0; x && i < within; i++)
			x = x->next_id;
		if (!x)
			continue;
		*io_at = place << 32 | (within + 1);
		return x;
	}
	return NULL;
}

uint32_t entities_count(const struct entities *t, uint32_t type)
{
	return t->live[type];
}

uint32_t entities_total(const struct entities *t)
{
	return t->total;
}

uint64_t entities_bytes(const struct entities *t)
{
	return t->bytes;
}

uint32_t entities_peak(const struct entities *t, uint32_t type)
{
	return t->peak[type];
}
