/*
 * What this worker knows of the models that are asked for: their price, looked up once, and how
 * long their answers get. Bounded: names come from clients, the least used one gives way.
 */
#pragma once

#include "common/govern/price_book.h"
#include "proxyd/gate/estimate.h"

#define TARIFF_SETS     64u
#define TARIFF_WAYS     4u
#define TARIFF_NAME_MAX 192u /* all names together; longer ones are not remembered */

struct tariff_model {
	uint64_t used;  /* turn of the last use; 0: free */
	uint64_t epoch; /* of the prices that it has */
	uint32_t name_len;
	char name[TARIFF_NAME_MAX];
	bool priced; /* whatever key of the provider's is taken */
	struct bf_price_found found;
	struct bf_price_bound bound; /* over all of them */
	struct estimate_lengths lengths;
};

struct tariff {
	const struct bf_config *config;
	struct bf_price_book book;
	struct bf_price_bound default_bound; /* of governance.default_price */
	uint8_t secret[16];
	uint64_t turn, epoch;
	struct tariff_model *last; /* most requests are for the model of the one before */
	struct tariff_model other; /* the last one that is not remembered */
	struct tariff_model models[TARIFF_SETS][TARIFF_WAYS];
};

/* Knows no prices yet: tariff_renew() follows before anything is asked. */
void tariff_open(struct tariff *t);
/* From here on these prices count, and what they refer to must live; what is known of lengths
 * stays. */
void tariff_renew(struct tariff *t, const struct bf_config *config,
		  const struct bf_price_book *book);

/* Never NULL; valid until the next call. The ids of keys count only where overrides name some;
 * names_vendors is filled in. */
struct tariff_model *tariff_of(struct tariff *t, const struct bf_price_query *query);
