/*
 * The input as the query string of /api/governance/explain, asked of a worker with keys, limits and
 * prices: one answer, that is JSON and names no key's value, and not a meter moved.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/codec/json_tape.h"
#include "common/ipc/frame.h"
#include "proxyd/gate/explain.h"
#include "proxyd/gate/route.h"
#include "proxyd/provider/provider.h"
#include "proxyd/worker.h"
#include "shm/slot.h"
#include "shm/wall.h"
#include "tests/support/by_hand.h"
#include "tests/unit/proxyd/gate/in_force.h"

#define SECRET "sk-bf-nobody-may-see-this"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct house {
	struct shm_segment seg;
	struct bf_arena arena;
	struct bf_config config;
	struct worker w;
	struct provider_net net;
} house;

static struct bf_slice any[] = {{"*", 1}};
static struct bf_conf_budget budgets[] = {
    {.id = {"b", 1}, .max_limit_nusd = 1000, .reset_duration = {"1h", 2}, .quarter_start_month = 1},
};
static struct bf_conf_rate_limit rates[] = {
    {.id = {"r", 1},
     .request_max_limit = 5,
     .request_reset_duration = {"1h", 2},
     .token_max_limit = 1000,
     .token_reset_duration = {"1d", 2},
     .concurrent_max_limit = 2},
};
static struct bf_conf_customer customers[] = {
    {.own = {.id = {"c", 1}, .name = {"acme", 4}, .rate_limit_id = {"r", 1}}},
};
static struct bf_conf_team teams[] = {
    {.own = {.id = {"t", 1}, .name = {"blue", 4}, .budgets = {budgets, 1}},
     .customer_id = {"c", 1}},
};
static struct bf_conf_provider_config configs[] = {
    {.own = {.id = {"pc", 2}, .name = {"mock", 4}, .rate_limit_id = {"r", 1}},
     .provider = {"mock", 4},
     .weight_micro = 1000000,
     .allowed_models = {any, 1},
     .key_ids = {any, 1}},
};
static struct bf_conf_virtual_key keys[] = {
    {.own = {.id = {"vk", 2}, .name = {"a key", 5}, .rate_limit_id = {"r", 1}},
     .value = {SECRET, sizeof(SECRET) - 1},
     .is_active = true,
     .team_id = {"t", 1},
     .provider_configs = {configs, 1}},
    {.own = {.id = {"off", 3}, .name = {"off", 3}}, .value = {SECRET "2", sizeof(SECRET)}},
};
static struct bf_conf_pricing_override prices[] = {{.id = {"p", 1}, .pattern = {"m", 1}}};

static void place(const struct bf_limit *limit)
{
	bool is_new;
	uint32_t m;

	if (shm_meter_place(&house.seg, limit->identity, &m, &is_new) < 0)
		abort();
	(void)shm_meter_configure(&house.seg, m, limit->max, false, false, 0);
	shm_meter_open(&house.seg, m, limit->identity, limit->quantity);
}

static void open_segment(uint32_t *ret_slot)
{
	static const uint8_t boot[16] = {1};
	int fd = memfd_create("fuzz-segment", MFD_CLOEXEC), slot;

	if (fd < 0 || shm_segment_create(fd, boot, NULL) < 0 ||
	    shm_segment_attach(fd, false, boot, &house.seg, NULL) < 0)
		abort();
	slot = shm_slot_assign(&house.seg, BF_ROLE_PROXYD, 0);
	if (slot < 0)
		abort();
	*ret_slot = (uint32_t)slot;
	shm_slot_set_pid(&house.seg, *ret_slot, (uint32_t)getpid());
	if (shm_slot_enter(&house.seg, *ret_slot, (uint32_t)getpid(), bf_wall_ns(), bf_mono_ns()) <
	    0)
		abort();
	(void)shm_wall_update(&house.seg, bf_wall_ns(), bf_boot_ns());
}

static void open_house(void)
{
	static struct bf_conf_provider mock = {.name = {"mock", 4}};
	struct bf_conf_governance *g = &house.config.governance;
	uint32_t slot;

	open_segment(&slot);
	bf_arena_init(&house.arena, 4 << 20);
	if (bf_table_defaults(&bf_config_table, &house.config, &house.arena) < 0)
		abort();
	prices[0].pricing_patch = bf_price_of(1000, 2000, BF_PRICE_NOT_GIVEN);
	house.config.providers = (struct bf_array){&mock, 1};
	g->customers = (struct bf_array){customers, 1};
	g->teams = (struct bf_array){teams, 1};
	g->virtual_keys = (struct bf_array){keys, 2};
	g->rate_limits = (struct bf_array){rates, 1};
	g->pricing_overrides = (struct bf_array){prices, 1};
	worker_init(&house.w, ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL), &house.seg, slot,
		    &house.config);
	by_hand_open(&house.w, &house.net);
	if (govern_open(&house.w, NULL) < 0)
		abort();
	in_force_publish(&house.w);
	for (uint32_t i = 0; i < in_force_plan.limit_count; i++)
		place(&in_force_plan.limits[i]);
}

static unsigned answers;

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Who asks may hear again what he said. */
static bool is_said(struct bf_slice query)
{
	static char text[32768];
	size_t len = 0;

	for (size_t i = 0; i < query.len; i++, len++) {
		bool coded = query.ptr[i] == '%' && query.len - i > 2 &&
			     hex(query.ptr[i + 1]) >= 0 && hex(query.ptr[i + 2]) >= 0;
		text[len] = query.ptr[i];
		if (coded) {
			text[len] = (char)(hex(query.ptr[i + 1]) << 4 | hex(query.ptr[i + 2]));
			i += 2;
		}
	}
	return memmem(text, len, SECRET, sizeof(SECRET) - 1) != NULL;
}

static void check_answer(struct exchange *x, int http_status, struct bf_slice type,
			 struct bf_slice body)
{
	struct bf_json_tape tape;
	struct bf_arena arena;

	(void)type;
	answers++;
	bf_arena_init(&arena, 8 << 20);
	if (http_status != 200 && http_status != 400 && http_status != 404)
		abort();
	if (bf_json_parse(&tape, body, &arena, &bf_json_default_limits, NULL) < 0 ||
	    (memmem(body.ptr, body.len, SECRET, sizeof(SECRET) - 1) && !is_said(x->query)))
		abort();
	bf_arena_done(&arena);
}

static void check_meters(void)
{
	const struct bf_plan *plan = &in_force_plan;
	struct shm_meter_info info;

	for (uint32_t i = 0; i < plan->limit_count; i++) {
		uint32_t m = shm_meter_find(&house.seg, plan->limits[i].identity);

		if (!shm_meter_read(&house.seg, m, &info) || info.value != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct exchange_out out = {.answer = check_answer};
	static const struct route route = {.object = SHM_OBJECT_CHAT};
	struct exchange *x;

	/* What the front lets through is shorter than a header section. */
	if (size > 32768)
		return 0;
	if (!house.w.loop)
		open_house();
	x = exchange_new(&house.w);
	if (!x)
		abort();
	x->out = &out;
	x->route = &route;
	x->query = (struct bf_slice){(const char *)data, size};
	answers = 0;
	explain_answer(x);
	if (answers != 1)
		abort();
	exchange_free(x);
	check_meters();
	return 0;
}
