/* What models cost: the prices of a file and of the price sheet. Part of config.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/field.h"

/* What is paid for by the token. */
enum bf_price_kind {
	BF_PRICE_INPUT,
	BF_PRICE_OUTPUT,
	BF_PRICE_CACHE_READ,  /* tokens of a prompt that the provider had in its cache */
	BF_PRICE_CACHE_WRITE, /* tokens of a prompt that it put there */
	BF_PRICE_KINDS,
};

/* Which of the rates of a kind. */
enum bf_price_rate {
	BF_RATE_PLAIN,
	BF_RATE_BATCHES,
	BF_RATE_PRIORITY,
	BF_RATE_FLEX,
	BF_RATE_ABOVE_128K, /* of a whole request with more tokens than that */
	BF_RATE_ABOVE_200K,
	BF_RATE_ABOVE_200K_PRIORITY,
	BF_RATE_ABOVE_272K,
	BF_RATE_ABOVE_272K_PRIORITY,
	BF_RATES,
};

#define BF_PRICE_NOT_GIVEN (-1)

/* Integers of 1e-12 dollars; BF_PRICE_NOT_GIVEN. */
struct bf_conf_price {
	int64_t token_pusd[BF_PRICE_KINDS][BF_RATES];
	int64_t cache_write_1hr_pusd; /* of a token that stays in the cache for an hour */
	int64_t request_pusd;
	int64_t search_pusd; /* of a search that the provider made and counted */
	/* Of tokens that are heard, spoken, or thought and not shown; whatever the tier. */
	int64_t audio_input_pusd, audio_output_pusd, reasoning_pusd;
};

extern const struct bf_table bf_price_fields_table;

/* What a model of the sheet is for; also which price is asked for. */
enum bf_price_mode {
	BF_PRICE_CHAT,
	BF_PRICE_COMPLETION,
	BF_PRICE_RESPONSES,
	BF_PRICE_EMBEDDING,
	BF_PRICE_ANY_MODE, /* the sheet does not say */
	BF_PRICE_MODES,
};

#define BF_MODEL_TOKENS_MAX INT64_C(1000000000)

/* What a sheet tells of a model beside its price; nothing is decided by it. 0: it does not say. */
struct bf_conf_model_facts {
	uint64_t context_length, max_input_tokens, max_output_tokens;
	uint64_t supports; /* a bit for each of bf_model_abilities */
};

/* What sheets call it when a model can do something, such as "supports_vision"; ended by NULL. */
extern const char *const bf_model_abilities[];

/* An entry of the price sheet. */
struct bf_conf_sheet_price {
	struct bf_slice key;        /* "provider/model", or the model alone */
	struct bf_slice provider;   /* empty: the sheet does not say */
	struct bf_slice base_model; /* its price counts where this one has none; empty: none */
	int32_t mode;               /* enum bf_price_mode */
	struct bf_conf_price price;
	struct bf_conf_model_facts facts;
};

#define BF_PRICE_PATTERN_MAX 256 /* bytes */

#define BF_SHEET_ENTRIES_MAX    10000
#define BF_PRICE_SHEET_URL_MAX  2048 /* bytes */
#define BF_PRICE_SHEET_ETAG_MAX 256  /* bytes of what a server calls a state of it */

struct bf_conf_sheet {
	struct bf_slice file;    /* where it was read; empty: there is none */
	struct bf_slice date;    /* of its prices, as it says */
	uint64_t models;         /* as entries.count, for who does not see these */
	uint64_t skipped;        /* entries of models that are not paid for by tokens of text */
	struct bf_array entries; /* of struct bf_conf_sheet_price, in the order of the file */
};

struct bf_conf_pricing {
	struct bf_slice pricing_file; /* empty: the sheet that is installed */
	struct bf_slice pricing_url;  /* https, file, or http on this machine; empty: none */
	int64_t pricing_sync_interval_ms;
	struct bf_conf_sheet sheet; /* of it; filled by the loader */
};

enum bf_price_match {
	BF_PRICE_EXACT,
	BF_PRICE_WILDCARD, /* '*' stands for any text */
};

/* The most special first. */
enum bf_price_scope {
	BF_PRICE_VIRTUAL_KEY_PROVIDER_KEY,
	BF_PRICE_VIRTUAL_KEY_PROVIDER,
	BF_PRICE_VIRTUAL_KEY,
	BF_PRICE_PROVIDER_KEY,
	BF_PRICE_PROVIDER,
	BF_PRICE_GLOBAL,
};

struct bf_conf_pricing_override {
	struct bf_slice id, name;
	int32_t scope_kind; /* enum bf_price_scope; each that it names is given, the others are
			       empty: */
	struct bf_slice virtual_key_id, provider_key_id;
	struct bf_slice provider_id;   /* the provider's name */
	int32_t match_type;            /* enum bf_price_match */
	struct bf_slice pattern;       /* of the model's name, without the provider */
	struct bf_array request_types; /* of struct bf_slice, settled; none: all */
	struct bf_conf_price pricing_patch;
};

enum bf_unpriced {
	BF_UNPRICED_DENY, /* a call with a budget is refused */
	BF_UNPRICED_WARN, /* it costs nothing; counted, and told by health */
	BF_UNPRICED_DEFAULT_PRICE,
};

/* The names of request_types, by mode, as Bifrost has them. */
#define BF_PRICE_REQUEST_TYPES                                                 \
	{                                                                      \
		"chat_completion", "text_completion", "responses", "embedding" \
	}
