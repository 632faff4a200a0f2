/*
 * What this worker knows of the models that are asked for: their price, looked up once, and how
 * long their answers get. Bounded: names come from clients, the least used one gives way.
 */
#pragma once

#include "common/schema/config.h"
#include "proxyd/gate/estimate.h"

#define TARIFF_SETS     64u
#define TARIFF_WAYS     4u
#define TARIFF_NAME_MAX 128u /* provider and model together; longer ones are not remembered */

struct tariff_model {
	uint64_t used; /* turn of the last use; 0: free */
	uint32_t name_len;
	char name[TARIFF_NAME_MAX];
	const struct bf_conf_price *price; /* NULL: unknown */
	struct estimate_lengths lengths;
};

struct tariff {
	const struct bf_conf_governance *conf;
	uint8_t secret[16];
	uint64_t turn;
	struct tariff_model *last; /* most requests are for the model of the one before */
	struct tariff_model other; /* the last one that is not remembered */
	struct tariff_model models[TARIFF_SETS][TARIFF_WAYS];
};

void tariff_open(struct tariff *t, const struct bf_conf_governance *conf);

/* Never NULL; valid until the next call. */
struct tariff_model *tariff_of(struct tariff *t, struct bf_slice provider, struct bf_slice model);
