/*
 * What is wrong with a plan, and at whom. Called while one is made. Must never stop a check that
 * wants to know of everything.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/macros.h"
#include "common/govern/plan_priv.h"

int plan_no(struct plan_maker *m, enum bf_plan_part part, int code)
{
	m->fault.part = part;
	m->fault.text = m->err.text;
	return code;
}

int plan_judge(struct plan_maker *m, int code)
{
	if (m->first == 0)
		m->first = code;
	if (!m->report)
		return code;
	m->report->told(m->report->ctx, &m->fault);
	return 0;
}

static bool has(const struct bf_plan_owner *own, const struct bf_limit *limit)
{
	return own->limit_count && limit >= own->limits && limit < own->limits + own->limit_count;
}

static struct bf_plan_fault seat_of_key(const struct plan_maker *m, const struct bf_limit *limit)
{
	for (uint32_t k = 0; k < m->plan->key_count; k++) {
		const struct bf_plan_key *key = &m->plan->keys[k];

		if (has(&key->own, limit))
			return (struct bf_plan_fault){.owner = limit->owner, .index = k};
		for (uint32_t i = 0; i < key->conf->provider_configs.count; i++)
			if (has(&key->provider_configs[i].own, limit))
				return (struct bf_plan_fault){
				    .owner = limit->owner, .index = i, .key = k};
	}
	return (struct bf_plan_fault){.owner = limit->owner};
}

static uint32_t index_of(const struct bf_plan_owner *owners, size_t stride,
			 const struct bf_limit *limit)
{
	const char *at = (const char *)owners;
	uint32_t i = 0;

	while (!has((const struct bf_plan_owner *)(const void *)(at + i * stride), limit))
		i++;
	return i;
}

void plan_seat_of(struct plan_maker *m, const struct bf_limit *limit)
{
	struct bf_plan_fault fault = {.owner = limit->owner};

	switch (limit->owner) {
	case BF_OWNER_PROVIDER:
		fault.index = index_of(m->provider_owners, sizeof(*m->provider_owners), limit);
		break;
	case BF_OWNER_MODEL_CONFIG:
		fault.index = index_of(&m->models->own, sizeof(*m->models), limit);
		break;
	case BF_OWNER_TEAM:
		fault.index = index_of(m->team_owners, sizeof(*m->team_owners), limit);
		break;
	case BF_OWNER_CUSTOMER:
		fault.index = index_of(m->customer_owners, sizeof(*m->customer_owners), limit);
		break;
	case BF_OWNER_PROVIDER_CONFIG:
	case BF_OWNER_VIRTUAL_KEY:
	case BF_OWNER_COUNT:
		fault = seat_of_key(m, limit);
		break;
	}
	m->fault = fault;
}

static const struct bf_conf_owner *conf_of(const struct bf_conf_governance *g,
					   const struct bf_plan_fault *fault)
{
	const struct bf_conf_virtual_key *keys = g->virtual_keys.items;
	const struct bf_conf_provider_config *configs;

	switch (fault->owner) {
	case BF_OWNER_PROVIDER:
		return &((const struct bf_conf_provider_limits *)g->providers.items)[fault->index]
			    .own;
	case BF_OWNER_MODEL_CONFIG:
		return &((const struct bf_conf_model_config *)g->model_configs.items)[fault->index]
			    .own;
	case BF_OWNER_TEAM:
		return &((const struct bf_conf_team *)g->teams.items)[fault->index].own;
	case BF_OWNER_CUSTOMER:
		return &((const struct bf_conf_customer *)g->customers.items)[fault->index].own;
	case BF_OWNER_PROVIDER_CONFIG:
		configs = keys[fault->key].provider_configs.items;
		return &configs[fault->index].own;
	case BF_OWNER_VIRTUAL_KEY:
	case BF_OWNER_COUNT:
		break;
	}
	return &keys[fault->index].own;
}

static struct bf_slice name_of(const struct bf_conf_owner *own)
{
	return own->name.len ? own->name : own->id;
}

int plan_say(const struct plan_maker *m, int code, struct bf_err *err)
{
	static const char *const lists[] = {
	    [BF_OWNER_PROVIDER] = "providers",
	    [BF_OWNER_MODEL_CONFIG] = "model_configs",
	    [BF_OWNER_PROVIDER_CONFIG] = "virtual_keys",
	    [BF_OWNER_VIRTUAL_KEY] = "virtual_keys",
	    [BF_OWNER_TEAM] = "teams",
	    [BF_OWNER_CUSTOMER] = "customers",
	};
	const struct bf_conf_virtual_key *keys = m->governance->virtual_keys.items;
	struct bf_slice name = name_of(conf_of(m->governance, &m->fault));

	if (m->fault.owner == BF_OWNER_PROVIDER_CONFIG)
		return bf_err_set(err, code,
				  "governance.virtual_keys: \"%.*s\": provider_configs: \"%.*s\": "
				  "%s",
				  BF_SLICE_FMT(name_of(&keys[m->fault.key].own)),
				  BF_SLICE_FMT(name), m->err.text);
	return bf_err_set(err, code, "governance.%s: \"%.*s\": %s", lists[m->fault.owner],
			  BF_SLICE_FMT(name), m->err.text);
}

static bool same_owner(const struct bf_limit *a, const struct bf_limit *b)
{
	return a->owner == b->owner && bf_slice_eq(a->owner_id, b->owner_id);
}

void plan_name_owners(char *text, size_t size, const struct bf_limit *const *items, uint32_t count)
{
	size_t at = 0;

	for (uint32_t i = 0; i < count && at < size; i++) {
		uint32_t n = 0, first = i;
		struct bf_slice name = items[i]->owner_name;

		for (uint32_t k = 0; k < count; k++) {
			bool same = same_owner(items[i], items[k]);

			n += same;
			first = same ? BF_MIN(first, k) : first;
		}
		if (first != i)
			continue;
		if (name.len == 0)
			name = items[i]->owner_id;
		at += (size_t)snprintf(text + at, size - at, "%s%" PRIu32 " of %s \"%.*s\"",
				       at ? ", " : "", n, bf_owner_name(items[i]->owner),
				       (int)BF_MIN(name.len, 40u), name.len ? name.ptr : "");
	}
}
