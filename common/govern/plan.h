/*
 * What limits there are: the plan that workers and writerd both make of the same configuration,
 * without a word between them. A limit is one meter: its identity names the meter in the segment
 * and its totals in the store, so it depends on what is counted, for whom, in which windows, and on
 * nothing that a person may tune (the maximum).
 *
 * Pure; refers to the configuration, which must outlive it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/base/window.h"
#include "common/schema/config.h"

/* What a meter counts. The numbers stand in the segment and in the store. */
enum bf_quantity {
	BF_QUANTITY_REQUESTS = 1,
	BF_QUANTITY_TOKENS = 2,
	BF_QUANTITY_CONCURRENT = 3, /* requests that run; given back whole, one endless window */
	BF_QUANTITY_NUSD = 4,
};

#define BF_PLAN_LIMITS_PER_REQUEST 40u

/*
 * Who may have limits, in the order in which their limits are decided where nothing else is said;
 * bf_owner_name() is their owner_kind and part of a meter's identity.
 */
enum bf_owner {
	BF_OWNER_PROVIDER,
	BF_OWNER_MODEL_CONFIG, /* of all keys, or of one */
	BF_OWNER_PROVIDER_CONFIG,
	BF_OWNER_VIRTUAL_KEY,
	BF_OWNER_TEAM,
	BF_OWNER_CUSTOMER,
	BF_OWNER_COUNT,
};

const char *bf_owner_name(enum bf_owner owner);

/* Which rows a limit is about; empty: whichever. */
struct bf_limit_rows {
	struct bf_slice virtual_key_id, team_id, customer_id, provider, model;
};

struct bf_limit {
	uint64_t identity; /* never 0 or 1; the same on every node and after every restart */
	enum bf_quantity quantity;
	int64_t max; /* 0 .. 2^61, with what follows too */
	/* A budget's override: more than max from a moment until another, INT64_MAX: for ever; 0:
	 * none. */
	int64_t extra, extra_begin_ms, extra_end_ms;
	bool endless; /* no window: its epoch is always 0 */
	struct bf_window
	    window;            /* unless endless; a rolling one's anchor lies in 0 .. length - 1 */
	struct bf_slice reset; /* the window as it was written: "1h"; empty when endless */
	enum bf_owner owner;
	struct bf_limit_rows rows;
	struct bf_slice owner_id, owner_name;
	struct bf_slice limit_id; /* of the budget or rate limit */
	void *place;              /* whatever its owner keeps beside it; NULL in a new plan */
};

/* The limits of one owner: requests, tokens, concurrent requests, then budgets, the shortest window
 * first. */
struct bf_plan_owner {
	const struct bf_limit *limits;
	uint32_t limit_count;
	uint32_t rate_count; /* of them; budgets follow */
};

struct bf_plan_index; /* by where a request goes */

struct bf_plan_provider_config {
	const struct bf_conf_provider_config *conf;
	struct bf_plan_owner own;
};

struct bf_plan_model_config {
	const struct bf_conf_model_config *conf;
	struct bf_plan_owner own;
};

/* The limits of one request, in the order in which they are decided. */
struct bf_plan_path {
	const struct bf_limit *const *items;
	uint32_t count;  /* up to BF_PLAN_LIMITS_PER_REQUEST */
	bool has_budget; /* a call needs a price */
};

struct bf_plan_key {
	const struct bf_conf_virtual_key *conf;
	struct bf_plan_owner own;
	const struct bf_plan_owner *team, *customer; /* NULL: none; a team's customer too */
	const struct bf_conf_team *team_conf;        /* for names in rows */
	const struct bf_conf_customer *customer_conf;
	const struct bf_plan_provider_config *provider_configs;  /* one for each of conf's */
	const struct bf_plan_model_config *const *model_configs; /* whose scope is this key */
	uint32_t model_config_count;
	const struct bf_plan_index *index; /* of these; NULL: none of them has limits */
	/* What it meets wherever it goes: the whole path unless providers, models or provider
	 * configs have limits. */
	struct bf_plan_path always;
	unsigned targets; /* which kinds of targets have limits of its own: plan_index.c */
};

struct bf_plan {
	struct bf_plan_key *keys;
	uint32_t key_count;
	struct bf_limit *limits; /* of all owners, one after the other */
	uint32_t limit_count;
	const struct bf_plan_model_config *model_configs; /* of all scopes, one for each of the
							     configuration's */
	uint32_t model_config_count;
	const struct bf_plan_owner *providers; /* one for each of governance.providers */
	bool by_target;                        /* some limits depend on where a request goes */
	unsigned targets;                      /* as those of a key, for everybody */
	const struct bf_plan_index *index;     /* of what is everybody's */
};

/*
 * 0; BF_E_LIMIT where a request may meet more than BF_PLAN_LIMITS_PER_REQUEST limits,
 * BF_E_DUPLICATE for two limits of one identity and for two budgets of an owner with windows of one
 * length, BF_E_UNKNOWN for a rate limit, team, customer or key that does not exist, BF_E_RANGE,
 * BF_E_SYNTAX and BF_E_STATE for windows, -ENOMEM; err names the owner and how to mend it. The
 * loader of the configuration asks the same through bf_plan_check, so a child never sees a no.
 */
int bf_plan_make(struct bf_plan *ret_plan, const struct bf_config *config, struct bf_arena *arena,
		 struct bf_err *err);

/* The most that a plan takes of its arena, and the most limits that it can have. */
struct bf_plan_size {
	uint64_t bytes, limits;
};

struct bf_plan_size bf_plan_worst(const struct bf_conf_governance *governance);

/*
 * The limits of a request of a key (NULL: without one) to a provider for a model, in the order in
 * which they are decided; each owner's rates are its limits of requests, tokens and concurrent
 * requests:
 * 1. the provider's rates, then its budgets;
 * 2. models of everybody: this provider and model, this model at any provider, this provider and
 *    "*", "*" alone: rates, then budgets, of one after the other;
 * 3. the rates of the provider config, then those of the key;
 * 4. the budgets of the provider config, of the key, its team, its customer;
 * 5. models of this key, as 2;
 * 6. the rates of the customer, then those of the team.
 * Without a key it meets 1 and 2. Models are compared by bf_model_is(). The key may be one of
 * another plan: 1 and 2 are this plan's, the rest is the key's. Refers to the plans, or to arena
 * where it depends on the target. 0; -ENOMEM; BF_E_LIMIT, only for a key of another plan: together
 * they are more than can be decided at once.
 */
int bf_plan_path(const struct bf_plan *plan, const struct bf_plan_key *key,
		 struct bf_slice provider, struct bf_slice model, struct bf_arena *arena,
		 struct bf_plan_path *ret_path);

/* The provider config of a key for a provider; NULL: it has none. */
const struct bf_plan_provider_config *bf_plan_provider_config(const struct bf_plan_key *key,
							      struct bf_slice provider);

/* A model's name without its provider's: of "openai/gpt-4o" at openai "gpt-4o", elsewhere all. */
struct bf_slice bf_model_bare(struct bf_slice model, struct bf_slice provider);
/*
 * Whether a configuration that names a model means one that is asked of a provider: with that
 * provider's name or without, in any case of letters; a name without a slash also means those that
 * others prefix ("gpt-4o" is "openai/gpt-4o" at openrouter).
 */
bool bf_model_is(struct bf_slice named, struct bf_slice model, struct bf_slice provider);

/* Which part of an owner is wrong. */
enum bf_plan_part {
	BF_PLAN_OWNER, /* all of it: too many limits, or one that another has, or whom it names */
	BF_PLAN_RATE_LIMIT, /* its rate_limit_id */
	BF_PLAN_REQUESTS,   /* the limit of requests in its rate limit */
	BF_PLAN_TOKENS,
	BF_PLAN_BUDGET,
};

struct bf_plan_fault {
	enum bf_owner owner;
	uint32_t index; /* into the list of its kind in governance; of a provider config: into those
			   of the key */
	uint32_t key;   /* of a provider config: index of the virtual key */
	enum bf_plan_part part;
	uint32_t budget;  /* BF_PLAN_BUDGET: index into the owner's budgets */
	const char *text; /* what is wrong and how to mend it; need not name the owner */
};

struct bf_plan_report {
	/* The first of each owner; paths and identities only if all owners are well. */
	void (*told)(void *ctx, const struct bf_plan_fault *fault);
	void *ctx;
};

/* bf_plan_make that goes on after a no. 0, or the code of the first; -ENOMEM is told to nobody. */
int bf_plan_check(const struct bf_config *config, struct bf_arena *arena,
		  const struct bf_plan_report *report);

/*
 * What names a meter in every segment and store, for ever: SipHash-2-4 with the key
 * "bifrost-meter-id" over eight words of 64 bits, least byte first. Three of them are the same hash
 * of owner_kind, owner_id and limit_id; then come the quantity, the kind of window (its number in
 * enum bf_window_kind, 255 when endless), the length in ms (rolling windows, else 0), the anchor in
 * ms (rolling, 0 .. length - 1, else 0), and the month of the year's first quarter from 0 to 2
 * (quarters, else 0). The results 0 and 1 are 2 and 3 instead: the segment needs these numbers.
 */
uint64_t bf_limit_identity(const struct bf_limit *limit);
/* Its rows as a number that stands in stores too; never 0. */
uint64_t bf_limit_about(const struct bf_limit *limit);

/* What may be used at a moment. */
int64_t bf_limit_max_at(const struct bf_limit *limit, int64_t wall_ms);
/* The windows that an override still holds, at a moment; 0: none, or it has no end. */
int64_t bf_limit_extra_windows(const struct bf_limit *limit, int64_t wall_ms);

/* The meter's epoch at a moment: 24 bits of the window's index; 0 when endless. */
uint32_t bf_limit_epoch(const struct bf_limit *limit, int64_t wall_ms);
/* The same as it is kept in the store: the whole index. */
int64_t bf_limit_window(const struct bf_limit *limit, int64_t wall_ms);
/* The window with this epoch that is nearest to another one. */
int64_t bf_window_nearest(int64_t window, uint32_t epoch);
/* The whole index of an epoch, the nearest one to a moment. */
int64_t bf_limit_window_of(const struct bf_limit *limit, uint32_t epoch, int64_t wall_ms);
/* The window that a meter with this epoch counts at a moment: the one of the clock or, after a
 * clock that was set back, the later one that the meter is in. */
int64_t bf_limit_window_counted(const struct bf_limit *limit, uint32_t meter_epoch,
				int64_t wall_ms);
/* When a window ends; INT64_MAX when endless. */
int64_t bf_limit_window_end_ms(const struct bf_limit *limit, int64_t window);
/* When the window of a moment ends; INT64_MAX when endless. */
int64_t bf_limit_ends_ms(const struct bf_limit *limit, int64_t wall_ms);
/* The shortest length that its windows have, INT64_MAX when endless: a clock that jumps by more
 * than this is not believed. */
int64_t bf_limit_length_ms(const struct bf_limit *limit);

/* "requests", "tokens", "concurrent_requests", "cost"; NULL for another number. */
const char *bf_quantity_name(enum bf_quantity quantity);
