/*
 * The table of models. Called at admission and when an answer ends. Must never grow: a client that
 * invents names pushes out what was learned, nothing else.
 */
#include "proxyd/gate/tariff.h"

#include <string.h>

#include "common/base/rand.h"
#include "common/base/siphash.h"
#include "common/govern/price.h"

void tariff_open(struct tariff *t, const struct bf_conf_governance *conf)
{
	memset(t, 0, sizeof(*t));
	t->conf = conf;
	bf_rand_bytes(t->secret, sizeof(t->secret));
}

static bool is_of(const struct tariff_model *m, struct bf_slice provider, struct bf_slice model)
{
	return m->name_len == provider.len + 1 + model.len && m->name[provider.len] == '\0' &&
	       memcmp(m->name, provider.ptr, provider.len) == 0 &&
	       memcmp(m->name + provider.len + 1, model.ptr, model.len) == 0;
}

/* "provider" NUL "model"; the length, 0 when it is too long. */
static uint32_t name_of(struct bf_slice provider, struct bf_slice model, char out[TARIFF_NAME_MAX])
{
	if (provider.len + 1 + model.len > TARIFF_NAME_MAX)
		return 0;
	memcpy(out, provider.ptr, provider.len);
	out[provider.len] = '\0';
	memcpy(out + provider.len + 1, model.ptr, model.len);
	return (uint32_t)(provider.len + 1 + model.len);
}

/* The one of this name, else the one that was not used for longest. */
static struct tariff_model *tariff_find(struct tariff *t, const char *name, uint32_t len)
{
	struct tariff_model *set = t->models[bf_siphash(t->secret, name, len) % TARIFF_SETS];
	struct tariff_model *oldest = set;

	for (uint32_t i = 0; i < TARIFF_WAYS; i++) {
		if (set[i].name_len == len && memcmp(set[i].name, name, len) == 0)
			return &set[i];
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	oldest->name_len = 0;
	return oldest;
}

struct tariff_model *tariff_of(struct tariff *t, struct bf_slice provider, struct bf_slice model)
{
	struct tariff_model *m = t->last;
	char name[TARIFF_NAME_MAX];
	uint32_t len;

	if (m && is_of(m, provider, model))
		return m;
	len = name_of(provider, model, name);
	m = len ? tariff_find(t, name, len) : &t->other;
	m->used = ++t->turn;
	t->last = len ? m : NULL;
	if (len && m->name_len == len)
		return m;
	memset(&m->lengths, 0, sizeof(m->lengths));
	memcpy(m->name, name, len);
	m->name_len = len;
	m->price = bf_price_find(t->conf, provider, model);
	return m;
}
