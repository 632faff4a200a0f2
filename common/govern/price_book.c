/*
 * Looking prices up. Called by proxyd's tariff for models that it does not remember. Must never
 * take a price for another model's because their names hash alike.
 */
#include "common/govern/price_book.h"

#include <errno.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/govern/plan.h"

/* ---- the index of the sheet */

/* What an entry can be found by. */
enum book_name {
	BOOK_MODEL,      /* provider and model */
	BOOK_KEY,        /* its key, as it stands in the sheet */
	BOOK_BASE_MODEL, /* provider and base_model */
};

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* FNV-1a, in any case of letters: the names that are looked up come from clients, those that are
 * kept do not. */
static uint64_t hash_more(uint64_t h, struct bf_slice text)
{
	for (size_t i = 0; i < text.len; i++)
		h = (h ^ lower(text.ptr[i])) * UINT64_C(0x100000001b3);
	return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

static uint64_t hash_of(enum book_name by, struct bf_slice provider, struct bf_slice name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) + (uint64_t)by;

	h = hash_more(hash_more(h, provider), name);
	return h ^ h >> 29;
}

struct bf_slice bf_price_entry_model(const struct bf_conf_sheet_price *e)
{
	struct bf_slice key = e->key;
	size_t skip = e->provider.len + 1;

	if (e->provider.len && key.len > skip && bf_slice_starts_nocase(key, e->provider) &&
	    key.ptr[e->provider.len] == '/')
		return (struct bf_slice){key.ptr + skip, key.len - skip};
	return key;
}

static struct bf_slice name_by(const struct bf_conf_sheet_price *e, enum book_name by)
{
	if (by == BOOK_BASE_MODEL)
		return e->base_model;
	return by == BOOK_KEY ? e->key : bf_price_entry_model(e);
}

static void book_put(struct bf_price_index *book, uint32_t entry, enum book_name by)
{
	const struct bf_conf_sheet_price *e = &book->entries[entry];
	struct bf_slice name = name_by(e, by), none = {NULL, 0};
	uint64_t h = hash_of(by, by == BOOK_KEY ? none : e->provider, name);
	uint32_t at = (uint32_t)h & book->mask;

	if (name.len == 0 || (by != BOOK_KEY && e->provider.len == 0))
		return;
	while (book->slots[at].entry)
		at = (at + 1) & book->mask;
	book->slots[at] = (struct bf_price_slot){(uint32_t)(h >> 32), entry + 1};
}

int bf_price_index_make(struct bf_price_index *ret_index, const struct bf_array *entries,
			struct bf_arena *arena)
{
	uint32_t size = 8;

	*ret_index = (struct bf_price_index){.entries = entries->items, .count = entries->count};
	if (entries->count == 0)
		return 0;
	/* Three names each, half of the slots free. */
	while (size < entries->count * 6)
		size *= 2;
	ret_index->slots = bf_arena_alloc(arena, size * sizeof(ret_index->slots[0]));
	if (!ret_index->slots)
		return -ENOMEM;
	memset(ret_index->slots, 0, size * sizeof(ret_index->slots[0]));
	ret_index->mask = size - 1;
	/* By each name the first of the file comes first. */
	for (uint32_t i = 0; i < entries->count; i++)
		for (int by = BOOK_MODEL; by <= BOOK_BASE_MODEL; by++)
			book_put(ret_index, i, (enum book_name)by);
	return 0;
}

int bf_price_book_open(struct bf_price_book *ret_book, const struct bf_config *config,
		       struct bf_arena *arena)
{
	const struct bf_conf_pricing_override *o = config->governance.pricing_overrides.items;

	*ret_book = (struct bf_price_book){.conf = &config->governance};
	for (uint32_t i = 0; i < config->governance.pricing_overrides.count; i++) {
		ret_book->by_virtual_key |= o[i].virtual_key_id.len > 0;
		ret_book->by_provider_key |= o[i].provider_key_id.len > 0;
	}
	return bf_price_index_make(&ret_book->of_file, &config->pricing.sheet.entries, arena);
}

/* ---- the sheet's price */

/* The first that has this name and one of these modes. */
static const struct bf_conf_sheet_price *book_get(const struct bf_price_index *book,
						  enum book_name by, struct bf_slice provider,
						  struct bf_slice name, unsigned modes)
{
	uint64_t h = hash_of(by, provider, name);
	uint32_t at = (uint32_t)h & book->mask;

	for (; book->slots[at].entry; at = (at + 1) & book->mask) {
		const struct bf_conf_sheet_price *e = &book->entries[book->slots[at].entry - 1];

		if (book->slots[at].tag != (uint32_t)(h >> 32) || !(modes >> e->mode & 1))
			continue;
		if (bf_slice_eq_nocase(name_by(e, by), name) &&
		    (by == BOOK_KEY || bf_slice_eq_nocase(e->provider, provider)))
			return e;
	}
	return NULL;
}

/* The modes that may stand for one, the best first. */
static const unsigned mode_ranks[][3] = {
    [BF_PRICE_CHAT] = {1u << BF_PRICE_CHAT, 1u << BF_PRICE_ANY_MODE,
		       1u << BF_PRICE_RESPONSES | 1u << BF_PRICE_COMPLETION},
    [BF_PRICE_COMPLETION] = {1u << BF_PRICE_COMPLETION, 1u << BF_PRICE_ANY_MODE,
			     1u << BF_PRICE_CHAT | 1u << BF_PRICE_RESPONSES},
    [BF_PRICE_RESPONSES] = {1u << BF_PRICE_RESPONSES, 1u << BF_PRICE_CHAT,
			    1u << BF_PRICE_ANY_MODE | 1u << BF_PRICE_COMPLETION},
    [BF_PRICE_EMBEDDING] = {1u << BF_PRICE_EMBEDDING, 1u << BF_PRICE_ANY_MODE, 0},
};

static const struct bf_conf_sheet_price *get_by_mode(const struct bf_price_index *book,
						     enum book_name by, struct bf_slice provider,
						     struct bf_slice name, enum bf_price_mode mode)
{
	const struct bf_conf_sheet_price *e = NULL;

	for (size_t i = 0; !e && i < BF_ARRAY_LEN(mode_ranks[0]); i++)
		e = book_get(book, by, provider, name, mode_ranks[mode][i]);
	return e;
}

static struct bf_slice behind_slash(struct bf_slice name)
{
	const char *slash = name.len ? memrchr(name.ptr, '/', name.len) : NULL;
	size_t skip = slash ? (size_t)(slash - name.ptr) + 1 : 0;

	return (struct bf_slice){name.ptr + skip, slash ? name.len - skip : 0};
}

/* The provider's own, however the client writes it. */
static const struct bf_conf_sheet_price *get_own(const struct bf_price_index *book,
						 const struct bf_price_query *q,
						 struct bf_slice model, struct bf_slice bare,
						 struct bf_slice last)
{
	const struct bf_conf_sheet_price *e =
	    get_by_mode(book, BOOK_MODEL, q->provider, model, q->mode);

	if (!e && bare.len != model.len)
		e = get_by_mode(book, BOOK_MODEL, q->provider, bare, q->mode);
	if (!e && last.len)
		e = get_by_mode(book, BOOK_MODEL, q->provider, last, q->mode);
	return e;
}

/* What is called so, at whatever provider. */
static const struct bf_conf_sheet_price *get_called(const struct bf_price_index *book,
						    const struct bf_price_query *q,
						    struct bf_slice bare, struct bf_slice last)
{
	const struct bf_slice none = {NULL, 0};
	struct bf_slice first = q->names_vendors || last.len == 0 ? bare : last;
	const struct bf_conf_sheet_price *e = get_by_mode(book, BOOK_KEY, none, first, q->mode);

	if (!e && last.len)
		e = get_by_mode(book, BOOK_KEY, none, q->names_vendors ? last : bare, q->mode);
	return e;
}

static const struct bf_conf_sheet_price *sheet_entry(const struct bf_price_index *book,
						     const struct bf_price_query *q,
						     struct bf_slice model)
{
	struct bf_slice bare = bf_model_bare(model, q->provider), last = behind_slash(bare);
	const struct bf_conf_sheet_price *e = get_own(book, q, model, bare, last);

	if (!e)
		e = get_called(book, q, bare, last);
	return e ? e : get_by_mode(book, BOOK_BASE_MODEL, q->provider, bare, q->mode);
}

static bool has_price(const struct bf_conf_sheet_price *e)
{
	return bf_price_is_whole(&e->price, e->mode == BF_PRICE_EMBEDDING);
}

static const struct bf_conf_sheet_price *priced_entry(const struct bf_price_index *sheet,
						      const struct bf_price_query *q)
{
	const struct bf_conf_sheet_price *e;

	if (!sheet->slots)
		return NULL;
	e = sheet_entry(sheet, q, q->model);
	if (e && !has_price(e) && e->base_model.len)
		e = sheet_entry(sheet, q, e->base_model);
	return e;
}

const struct bf_conf_sheet_price *bf_price_entry(const struct bf_price_book *book,
						 const struct bf_price_query *q)
{
	const struct bf_conf_sheet_price *fetched = priced_entry(&book->fetched, q);
	const struct bf_conf_sheet_price *e = fetched;

	if (!e || !has_price(e))
		e = priced_entry(&book->of_file, q);
	if (fetched && (!e || !has_price(e)))
		e = fetched;
	return e;
}

/* ---- what the file says over it */

/* '*' stands for any text; the last one met may always take a byte more. */
static bool wildcard_fits(struct bf_slice pattern, struct bf_slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = p++;
			resume = t;
		} else if (p < pattern.len && lower(pattern.ptr[p]) == lower(text.ptr[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

static bool is_for(struct bf_slice wanted, struct bf_slice is)
{
	return wanted.len == 0 || bf_slice_eq(wanted, is);
}

static bool is_for_mode(const struct bf_array *types, enum bf_price_mode mode)
{
	static const char *const names[] = BF_PRICE_REQUEST_TYPES;
	const struct bf_slice *items = types->items;

	for (uint32_t i = 0; i < types->count; i++)
		if (bf_slice_is(items[i], names[mode]))
			return true;
	return types->count == 0;
}

static enum bf_price_scope scope_of(const struct bf_conf_pricing_override *o)
{
	if (o->virtual_key_id.len && o->provider_key_id.len)
		return BF_PRICE_VIRTUAL_KEY_PROVIDER_KEY;
	if (o->virtual_key_id.len)
		return o->provider_id.len ? BF_PRICE_VIRTUAL_KEY_PROVIDER : BF_PRICE_VIRTUAL_KEY;
	if (o->provider_key_id.len)
		return BF_PRICE_PROVIDER_KEY;
	return o->provider_id.len ? BF_PRICE_PROVIDER : BF_PRICE_GLOBAL;
}

/* pattern: without the provider's name, which some write before it. */
static bool is_of_model(const struct bf_conf_pricing_override *o, const struct bf_price_query *q,
			struct bf_slice pattern)
{
	struct bf_slice bare = bf_model_bare(q->model, q->provider);

	if (o->match_type == BF_PRICE_EXACT)
		return bf_slice_eq_nocase(pattern, bare);
	return wildcard_fits(pattern, bare) ||
	       (bare.len != q->model.len && wildcard_fits(o->pattern, q->model));
}

/* How much of a wildcard's text stands before its first star. */
static size_t given_by(struct bf_slice pattern)
{
	const char *star = pattern.len ? memchr(pattern.ptr, '*', pattern.len) : NULL;

	return star ? (size_t)(star - pattern.ptr) : pattern.len;
}

/* The smaller the better; 0: does not fit. */
static size_t rank_of(const struct bf_conf_pricing_override *o, const struct bf_price_query *q)
{
	struct bf_slice pattern = bf_model_bare(o->pattern, q->provider);
	size_t given = BF_MIN(given_by(pattern), (size_t)BF_PRICE_PATTERN_MAX);
	size_t rank = 1 + (size_t)scope_of(o) * (BF_PRICE_PATTERN_MAX + 2);

	if (!is_for(o->provider_id, q->provider) || !is_for(o->virtual_key_id, q->virtual_key_id) ||
	    !is_for(o->provider_key_id, q->provider_key_id) ||
	    !is_for_mode(&o->request_types, q->mode) || !is_of_model(o, q, pattern))
		return 0;
	return o->match_type == BF_PRICE_EXACT ? rank : rank + 1 + BF_PRICE_PATTERN_MAX - given;
}

static const struct bf_conf_price *override_of(const struct bf_conf_governance *conf,
					       const struct bf_price_query *q)
{
	const struct bf_conf_pricing_override *items = conf->pricing_overrides.items;
	const struct bf_conf_price *best = NULL;
	size_t best_rank = 0;

	for (uint32_t i = 0; i < conf->pricing_overrides.count; i++) {
		size_t rank = rank_of(&items[i], q);

		if (rank == 0 || (best && rank >= best_rank))
			continue;
		best = &items[i].pricing_patch;
		best_rank = rank;
	}
	return best;
}

const struct bf_conf_price *bf_price_found_whole(const struct bf_price_found *found,
						 struct bf_conf_price *room)
{
	if (!found->base || !found->patch)
		return found->base ? found->base : found->patch;
	bf_price_patch(found->base, found->patch, room);
	return room;
}

bool bf_price_find(const struct bf_price_book *book, const struct bf_price_query *query,
		   struct bf_price_found *ret_found)
{
	const struct bf_conf_sheet_price *e = bf_price_entry(book, query);
	const struct bf_price_found found = {e ? &e->price : NULL, override_of(book->conf, query)};
	struct bf_conf_price room;
	const struct bf_conf_price *price = bf_price_found_whole(&found, &room);

	*ret_found = found;
	return price && bf_price_is_whole(price, query->mode == BF_PRICE_EMBEDDING);
}
