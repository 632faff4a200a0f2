/*
 * Which price counts for a model: price sheets and what overrides say over them, found by hash. A
 * worker makes one whenever they change, and remembers what it found (proxyd/gate/tariff.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/govern/price.h"

struct bf_price_slot {
	uint32_t tag;   /* of the hash */
	uint32_t entry; /* 0: free; else 1 + index into the sheet */
};

/* One sheet. Zeroed: there is none. */
struct bf_price_index {
	const struct bf_conf_sheet_price *entries;
	struct bf_price_slot *slots; /* a power of two; NULL: it has no entries */
	uint32_t mask, count;        /* of slots; of entries */
};

struct bf_price_book {
	const struct bf_conf_governance *conf;
	struct bf_price_index fetched; /* the caller's, set behind bf_price_book_open() */
	struct bf_price_index of_file; /* where what was fetched does not tell a whole price */
	bool by_virtual_key, by_provider_key; /* some overrides are for these */
};

/* Who asks for what. */
struct bf_price_query {
	struct bf_slice provider, model;
	struct bf_slice virtual_key_id, provider_key_id; /* empty: none */
	enum bf_price_mode mode;
	bool names_vendors; /* the provider puts vendors before the names of its models */
};

/* Whose prices count: patch's where it gives one, else base's. Either may be NULL. Valid as long as
 * the configuration. */
struct bf_price_found {
	const struct bf_conf_price *base;
	const struct bf_conf_price *patch;
};

/* Refers to the entries (of struct bf_conf_sheet_price); the index lies in the arena. 0 or -ENOMEM.
 */
int bf_price_index_make(struct bf_price_index *ret_index, const struct bf_array *entries,
			struct bf_arena *arena);

/* Of the configuration's sheet alone. Refers to the configuration; its index lies in the arena. 0
 * or -ENOMEM. */
int bf_price_book_open(struct bf_price_book *ret_book, const struct bf_config *config,
		       struct bf_arena *arena);

/*
 * Models are found in any case of letters, with or without their provider's name in front: a price
 * must not depend on how a client writes them.
 *
 * Of two sheets the fetched one counts, and the other where that one does not tell a whole price. A
 * sheet's price is the provider's own: that of the model, else of what stands behind its last
 * '/'; else that of an entry of this name at whatever provider, where what stands behind the last
 * '/' counts before the whole, so that nobody chooses a price by what he writes before it; with
 * names_vendors after it; else that of the first model of the provider that names this one as its
 * base_model. An entry without prices has those of its own base_model. What is for other modes does
 * not count, but text is text: a response is also looked for as a chat.
 *
 * Of the overrides that fit the one counts whose scope is the most special; among these an exact
 * pattern before wildcards; among these the one with most text before its first '*'; among these
 * the one that stands first.
 *
 * False: no price is known, or not all of it (ret_found then tells nothing).
 */
bool bf_price_find(const struct bf_price_book *book, const struct bf_price_query *query,
		   struct bf_price_found *ret_found);

/* The entry whose price that is, overrides aside; what was fetched counts, and where it does not
 * tell the whole price, what the file has. NULL: no sheet has one. */
const struct bf_conf_sheet_price *bf_price_entry(const struct bf_price_book *book,
						 const struct bf_price_query *query);

/* What an entry is of, without its provider. */
struct bf_slice bf_price_entry_model(const struct bf_conf_sheet_price *e);

/* The price itself: of one of them, or both together in *room. */
const struct bf_conf_price *bf_price_found_whole(const struct bf_price_found *found,
						 struct bf_conf_price *room);
