/*
 * What snapshots cost: building a base and overlays of virtual keys with a team, a budget, a rate
 * limit and a provider config each (every tenth with a model of its own), looking keys up, walking
 * over all, and making one ready for its first request. Argument: how many keys (default: 100,000).
 * Used by ./dev bench micro.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/siphash.h"
#include "common/govern/plan.h"
#include "tests/support/snapshot_of.h"

#define TEAMS   1000
#define CHANGED 1024
#define LOOKUPS 100000

static struct text {
	char id[40], name[40], config[40], model[40], team[16];
} texts;

static struct bf_conf_budget budget = {.id = BF_SLICE_INIT("b"),
				       .max_limit_nusd = 100000000000,
				       .reset_duration = BF_SLICE_INIT("1M"),
				       .quarter_start_month = 1};
static struct bf_conf_rate_limit rate = {.id = BF_SLICE_INIT("r"),
					 .request_max_limit = 1000,
					 .request_reset_duration = BF_SLICE_INIT("1m")};
static struct bf_slice all = BF_SLICE_INIT("*");

static struct bf_slice number(char *out, size_t size, const char *form, uint64_t i)
{
	int n = snprintf(out, size, "%s-%012" PRIu64, form, i);

	return (struct bf_slice){out, (size_t)n};
}

/* Its HMAC, without the time that one takes. */
static void secret_of(uint64_t i, uint8_t secret[BF_ENTITY_SECRET_LEN])
{
	for (uint64_t k = 0; k < 4; k++) {
		const uint64_t words[2] = {i, k};
		uint64_t word = bf_siphash(snapshot_of_pepper, words, sizeof(words));

		memcpy(secret + 8 * k, &word, 8);
	}
}

static void must(int r)
{
	if (r < 0) {
		(void)fprintf(stderr, "bench-snapshot: %s\n", bf_err_text(r));
		exit(1);
	}
}

/* ---- making */

static void add(struct bf_snapshot_builder *b, uint32_t type, const void *object, uint64_t i,
		uint64_t version)
{
	static struct bf_buf body = {.max_bytes = BF_ENTITY_BODY_MAX};
	struct bf_entity e;

	bf_buf_clear(&body);
	must(bf_entity_encode(type, object, &body, &e));
	e.version = version;
	if (type == BF_ENTITY_VIRTUAL_KEY)
		secret_of(i, e.secret);
	must(bf_snapshot_builder_add(b, &e, NULL));
}

static void add_key(struct bf_snapshot_builder *b, uint64_t i, uint64_t version)
{
	struct bf_conf_provider_config config = {
	    .own.id = number(texts.config, sizeof(texts.config), "0190bbbb-0000-7000-8000", i),
	    .provider = BF_SLICE_LIT("openai"),
	    .weight_micro = BF_WEIGHT_NONE,
	    .allowed_models = {&all, 1},
	    .key_ids = {&all, 1}};
	struct bf_conf_virtual_key key = {
	    .own = {.id = number(texts.id, sizeof(texts.id), "0190aaaa-0000-7000-8000", i),
		    .name = number(texts.name, sizeof(texts.name), "application", i),
		    .budgets = {&budget, 1},
		    .rate_limit = {&rate, 1}},
	    .is_active = true,
	    .team_id = number(texts.team, sizeof(texts.team), "", i % TEAMS),
	    .provider_configs = {&config, 1}};
	struct bf_conf_model_config model = {
	    .own = {.id = number(texts.model, sizeof(texts.model), "0190cccc-0000-7000-8000", i),
		    .budgets = {&budget, 1}},
	    .model_name = BF_SLICE_LIT("gpt-4o"),
	    .scope = BF_MODEL_VIRTUAL_KEY,
	    .scope_id = key.own.id};

	add(b, BF_ENTITY_VIRTUAL_KEY, &key, i, version);
	if (i % 10 == 0)
		add(b, BF_ENTITY_MODEL_CONFIG, &model, i, version);
}

static double ms_since(int64_t start)
{
	return (double)(bf_mono_ns() - start) / 1e6;
}

static struct bf_snapshot_blob *make_base(uint64_t keys)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(false, 1);
	int64_t start = bf_mono_ns();
	struct bf_snapshot_blob *blob;
	double added, made;
	size_t memory;
	int fd;

	for (uint64_t i = 0; i < TEAMS; i++) {
		struct bf_conf_team team = {
		    .own = {.id = number(texts.team, sizeof(texts.team), "", i),
			    .name = number(texts.name, sizeof(texts.name), "team", i)}};

		add(b, BF_ENTITY_TEAM, &team, i, 1);
	}
	for (uint64_t i = 0; i < keys; i++)
		add_key(b, i, 1);
	added = ms_since(start);
	memory = mallinfo2().uordblks + mallinfo2().hblkhd;
	start = bf_mono_ns();
	fd = snapshot_of_finish(b);
	made = ms_since(start);
	start = bf_mono_ns();
	must(bf_snapshot_map(fd, &blob, NULL));
	(void)printf("base of %" PRIu64 " keys: added in %.0f ms, finished in %.1f ms, mapped in "
		     "%.3f ms\n",
		     keys, added, made, ms_since(start));
	(void)printf("base of %" PRIu64 " keys: %.1f MB, builder's memory %.1f MB\n", keys,
		     (double)bf_snapshot_bytes(blob) / 1e6, (double)memory / 1e6);
	(void)close(fd);
	return blob;
}

static struct bf_snapshot_blob *make_overlay(uint64_t keys, uint64_t changed)
{
	int64_t start = bf_mono_ns();
	struct bf_snapshot_builder *b = snapshot_of_begin(true, 1);
	struct bf_snapshot_blob *blob;

	for (uint64_t i = 0; i < changed; i++)
		add_key(b, i * (keys / CHANGED), 2);
	blob = snapshot_of_end(b);
	(void)printf("overlay of %" PRIu64 ": made and mapped in %.1f us\n", changed,
		     ms_since(start) * 1e3);
	return blob;
}

/* ---- using */

static double find(const struct bf_snapshot *s, uint64_t keys, uint64_t beyond)
{
	uint64_t at = 12345, found = 0;
	uint8_t secret[BF_ENTITY_SECRET_LEN];
	struct bf_entity e;
	int64_t spent = 0;

	for (unsigned i = 0; i < LOOKUPS; i++) {
		int64_t start;

		at = at * UINT64_C(6364136223846793005) + 1442695040888963407u;
		secret_of(beyond + (at >> 33) % keys, secret);
		start = bf_mono_ns();
		found += bf_snapshot_find_secret(s, BF_ENTITY_VIRTUAL_KEY, secret, &e);
		spent += bf_mono_ns() - start;
	}
	if (found != (beyond ? 0 : LOOKUPS))
		must(BF_E_STATE);
	return (double)spent / LOOKUPS;
}

static void walk(const struct bf_snapshot *s)
{
	struct bf_snapshot_cursor cursor = {0};
	int64_t start = bf_mono_ns();
	struct bf_entity e;
	uint64_t count = 0;
	double spent;

	while (bf_snapshot_next(s, BF_ENTITY_VIRTUAL_KEY, &cursor, &e))
		count++;
	spent = (double)(bf_mono_ns() - start);
	(void)printf("next over all keys: %.1f ms, %.0f ns a key\n", spent / 1e6,
		     spent / (double)count);
	start = bf_mono_ns();
	if (bf_snapshot_live(s, BF_ENTITY_VIRTUAL_KEY) != count)
		must(BF_E_STATE);
	(void)printf("live: %.1f us\n", ms_since(start) * 1e3);
	start = bf_mono_ns();
	(void)bf_snapshot_common(s);
	(void)printf("common: %.1f us\n", ms_since(start) * 1e3);
}

/* As a worker does for a key that it meets for the first time. */
static void hydrate(const struct bf_snapshot *s, uint64_t keys)
{
	int64_t found = 0, assembled = 0, planned = 0, held = 0;
	struct bf_arena arena;
	unsigned rounds = 20000;
	size_t bytes = 0;

	bf_arena_init(&arena, 1 << 20);
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t which = i * 7919 % keys;
		struct bf_snapshot_parts parts;
		struct bf_config config;
		struct bf_entity e;
		struct bf_plan plan;
		int64_t t[5];
		char id[40];

		t[0] = bf_mono_ns();
		if (!bf_snapshot_find(s, BF_ENTITY_VIRTUAL_KEY,
				      number(id, sizeof(id), "0190aaaa-0000-7000-8000", which), &e))
			must(BF_E_STATE);
		t[1] = bf_mono_ns();
		must(bf_snapshot_key_config(s, &e, &arena, &config, &parts, NULL));
		t[2] = bf_mono_ns();
		must(bf_plan_make(&plan, &config, &arena, NULL));
		t[3] = bf_mono_ns();
		if (!bf_snapshot_parts_hold(s, &parts))
			must(BF_E_STATE);
		t[4] = bf_mono_ns();
		found += t[1] - t[0];
		assembled += t[2] - t[1];
		planned += t[3] - t[2];
		held += t[4] - t[3];
		bytes += arena.used_bytes;
		bf_arena_reset(&arena);
	}
	(void)printf("find by id: %.0f ns\n", (double)found / rounds);
	(void)printf("key_config: %.0f ns, its plan: %.0f ns, %zu bytes of arena\n",
		     (double)assembled / rounds, (double)planned / rounds, bytes / rounds);
	(void)printf("parts_hold: %.0f ns\n", (double)held / rounds);
	bf_arena_done(&arena);
}

int main(int argc, char **argv)
{
	uint64_t keys = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
	struct bf_snapshot s = {.base = NULL};

	if (keys < CHANGED) {
		(void)fprintf(stderr, "usage: bench-snapshot [KEYS], at least %d\n", CHANGED);
		return 2;
	}
	s.base = make_base(keys);
	bf_snapshot_unmap(make_overlay(keys, 1));
	(void)printf("find by secret, no overlay: %.0f ns\n", find(&s, keys, 0));
	s.overlay = make_overlay(keys, CHANGED);
	(void)printf("find by secret, overlay of %d: %.0f ns, of no key: %.0f ns\n", CHANGED,
		     find(&s, keys, 0), find(&s, keys, keys));
	walk(&s);
	hydrate(&s, keys);
	return 0;
}
