/* The scripted house with a virtual key: "sk-bf-a", of "team a", with the limits that a test gives;
 * meters placed as writerd does it. Windows last an hour. */
#pragma once

#include "shm/meter.h"
#include "shm/wall.h"
#include "tests/unit/proxyd/gate/in_force.h"
#include "tests/unit/proxyd/gate/scripted.h"

struct limits_of {
	int64_t requests, tokens, concurrent; /* 0: none */
	int64_t budget_nusd;                  /* 0: none */
	int64_t raised_nusd, until_ms;        /* by so much, until that moment */
};

static struct bf_conf_rate_limit rate_limits[1];
static struct bf_conf_budget budgets[1];
static struct bf_conf_virtual_key virtual_keys[3];
static struct bf_conf_pricing_override prices[2];

static inline void place_meter(const struct bf_limit *limit)
{
	bool is_new;
	uint32_t m;

	assert_int_equal(shm_meter_place(&h.seg, limit->identity, &m, &is_new), 0);
	/* Whoever raised it is not there to take it back. */
	(void)shm_meter_configure(&h.seg, m, limit->max + limit->extra, false, false, 0);
	shm_meter_open(&h.seg, m, limit->identity, limit->quantity);
}

static inline void place_meters(void)
{
	for (uint32_t i = 0; i < in_force_plan.limit_count; i++)
		place_meter(&in_force_plan.limits[i]);
}

/* Prices: a nano-dollar for each token in, two for each out; of m2 at second half of that. */
static inline void govern_house(const struct limits_of *of)
{
	struct bf_conf_governance *g = &h.config.governance;

	rate_limits[0] = (struct bf_conf_rate_limit){
	    .id = BF_SLICE_LIT("rl"),
	    .request_max_limit = of->requests,
	    .request_reset_duration = BF_SLICE_LIT("1h"),
	    .token_max_limit = of->tokens,
	    .token_reset_duration = BF_SLICE_LIT("1h"),
	    .concurrent_max_limit = of->concurrent,
	};
	budgets[0] = (struct bf_conf_budget){.id = BF_SLICE_LIT("b"),
					     .max_limit_nusd = of->budget_nusd,
					     .quarter_start_month = 1,
					     .override_amount_nusd = of->raised_nusd,
					     .override_until_ms = of->until_ms,
					     .reset_duration = BF_SLICE_LIT("1h")};
	virtual_keys[0] = (struct bf_conf_virtual_key){
	    .own.id = BF_SLICE_LIT("vk-a"),
	    .own.name = BF_SLICE_LIT("team a"),
	    .value = BF_SLICE_LIT("sk-bf-a"),
	    .is_active = true,
	    .allow_all_providers = true,
	    .own.rate_limit_id = BF_SLICE_LIT("rl"),
	    .own.budgets = {budgets, of->budget_nusd ? 1 : 0},
	};
	virtual_keys[1] = (struct bf_conf_virtual_key){.own.id = BF_SLICE_LIT("vk-b"),
						       .own.name = BF_SLICE_LIT("team b"),
						       .value = BF_SLICE_LIT("sk-bf-b")};
	virtual_keys[2] = (struct bf_conf_virtual_key){.own.id = BF_SLICE_LIT("vk-c"),
						       .own.name = BF_SLICE_LIT("team c"),
						       .value = BF_SLICE_LIT("legacy"),
						       .allow_all_providers = true,
						       .is_active = true};
	prices[0] = (struct bf_conf_pricing_override){
	    .id = BF_SLICE_LIT("of-m"),
	    .pattern = BF_SLICE_LIT("m"),
	    .pricing_patch = bf_price_of(1000, 2000, BF_PRICE_NOT_GIVEN)};
	prices[1] = (struct bf_conf_pricing_override){
	    .id = BF_SLICE_LIT("of-m2"),
	    .pattern = BF_SLICE_LIT("m2"),
	    .pricing_patch = bf_price_of(500, 1000, BF_PRICE_NOT_GIVEN)};
	g->virtual_keys = (struct bf_array){virtual_keys, 3};
	g->rate_limits = (struct bf_array){rate_limits, 1};
	g->pricing_overrides = (struct bf_array){prices, 2};
	in_force_open(&h.w);
	(void)shm_wall_update(&h.seg, bf_wall_ns(), bf_boot_ns());
}

/* A house with its meters; no retries. */
static inline void governed(int64_t requests, int64_t tokens, int64_t concurrent,
			    int64_t budget_nusd)
{
	const struct limits_of of = {.requests = requests,
				     .tokens = tokens,
				     .concurrent = concurrent,
				     .budget_nusd = budget_nusd};

	house(0, 1);
	govern_house(&of);
	place_meters();
}

/* With a budget that is raised until a moment, counted from now. */
static inline void governed_raised(int64_t budget_nusd, int64_t raised_nusd, int64_t until_ms)
{
	const struct limits_of of = {.budget_nusd = budget_nusd,
				     .raised_nusd = raised_nusd,
				     .until_ms = bf_wall_ms() + until_ms};

	house(0, 1);
	govern_house(&of);
	place_meters();
}

static inline size_t leave_governed(int fd, struct shm_usage_record *rows, size_t max)
{
	(void)close(fd);
	harness_turns(&h, 4);
	in_force_close(&h.w);
	return leave(harness_client(&h), rows, max);
}

/* What the meter of the key's limit of this quantity counts. */
static inline int64_t counted(enum bf_quantity quantity)
{
	const struct bf_plan *plan = &in_force_plan;
	struct shm_meter_info info;

	for (uint32_t i = 0; i < plan->limit_count; i++) {
		if (plan->limits[i].quantity != quantity)
			continue;
		uint32_t m = shm_meter_find(&h.seg, plan->limits[i].identity);
		assert_true(shm_meter_read(&h.seg, m, &info));
		return info.value;
	}
	fail_msg("no such limit");
	return -1;
}

#define KEY_A "x-bf-vk: sk-bf-a\r\n"
