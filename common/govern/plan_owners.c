/*
 * All owners of a configuration. Called while a plan is made; their limits come from plan_owner.c.
 * Must never know a limit.
 */
#include "common/base/macros.h"
#include "common/govern/plan_priv.h"

static int add_providers(struct plan_maker *m)
{
	const struct bf_conf_provider_limits *items = m->governance->providers.items;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < m->governance->providers.count; i++) {
		const struct plan_owned o = {
		    BF_OWNER_PROVIDER, &items[i].own, {.provider = items[i].own.name}};

		r = plan_owner_add(m, &o, i, 0, &m->provider_owners[i]);
	}
	return r;
}

static int add_teams(struct plan_maker *m)
{
	const struct bf_conf_team *items = m->governance->teams.items;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < m->governance->teams.count; i++) {
		const struct plan_owned o = {
		    BF_OWNER_TEAM, &items[i].own, {.team_id = items[i].own.id}};

		r = plan_owner_add(m, &o, i, 0, &m->team_owners[i]);
	}
	return r;
}

static int add_customers(struct plan_maker *m)
{
	const struct bf_conf_customer *items = m->governance->customers.items;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < m->governance->customers.count; i++) {
		const struct plan_owned o = {
		    BF_OWNER_CUSTOMER, &items[i].own, {.customer_id = items[i].own.id}};

		r = plan_owner_add(m, &o, i, 0, &m->customer_owners[i]);
	}
	return r;
}

static int add_provider_configs(struct plan_maker *m, struct bf_plan_key *key, uint32_t k)
{
	const struct bf_conf_provider_config *items = key->conf->provider_configs.items;
	int r = 0;

	key->provider_configs = m->configs;
	for (uint32_t i = 0; r == 0 && i < key->conf->provider_configs.count; i++) {
		const struct plan_owned o = {
		    BF_OWNER_PROVIDER_CONFIG,
		    &items[i].own,
		    {.virtual_key_id = key->conf->own.id, .provider = items[i].provider}};

		m->configs->conf = &items[i];
		r = plan_owner_add(m, &o, i, k, &m->configs->own);
		if (m->configs->own.limit_count)
			key->targets |= 1u << PLAN_TARGET_CONFIG;
		m->configs++;
	}
	return r;
}

static int names_nobody(struct plan_maker *m, const char *what, struct bf_slice id)
{
	int r = bf_err_set(&m->err, BF_E_UNKNOWN,
			   "no %s has the id \"%.*s\": add it, or correct "
			   "the id",
			   what, BF_SLICE_FMT(id));

	return plan_judge(m, plan_no(m, BF_PLAN_OWNER, r));
}

static int set_customer(struct plan_maker *m, struct bf_plan_key *key, struct bf_slice id)
{
	const struct bf_conf_customer *items = m->governance->customers.items;
	uint32_t i = plan_ids_find(&m->customers, id);

	if (i == PLAN_ID_NONE)
		return names_nobody(m, "customer", id);
	key->customer_conf = &items[i];
	key->customer = &m->customer_owners[i];
	return 0;
}

/* A team's customer counts for its keys. */
static int set_owners(struct plan_maker *m, struct bf_plan_key *key)
{
	const struct bf_conf_team *items = m->governance->teams.items;
	struct bf_slice customer = key->conf->customer_id;
	uint32_t i;

	if (key->conf->team_id.len) {
		i = plan_ids_find(&m->teams, key->conf->team_id);
		if (i == PLAN_ID_NONE)
			return names_nobody(m, "team", key->conf->team_id);
		key->team_conf = &items[i];
		key->team = &m->team_owners[i];
		if (items[i].customer_id.len)
			customer = items[i].customer_id;
	}
	return customer.len ? set_customer(m, key, customer) : 0;
}

static int add_keys(struct plan_maker *m)
{
	const struct bf_conf_virtual_key *items = m->governance->virtual_keys.items;
	int r = 0;

	for (uint32_t k = 0; r == 0 && k < m->governance->virtual_keys.count; k++) {
		const struct plan_owned o = {
		    BF_OWNER_VIRTUAL_KEY, &items[k].own, {.virtual_key_id = items[k].own.id}};
		struct bf_plan_key *key = &m->plan->keys[m->plan->key_count++];

		*key = (struct bf_plan_key){.conf = &items[k]};
		r = plan_owner_add(m, &o, k, 0, &key->own);
		if (r == 0)
			r = set_owners(m, key);
		if (r == 0)
			r = add_provider_configs(m, key, k);
	}
	return r;
}

static int add_models(struct plan_maker *m)
{
	const struct bf_conf_model_config *items = m->governance->model_configs.items;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < m->governance->model_configs.count; i++) {
		bool of_key = items[i].scope == BF_MODEL_VIRTUAL_KEY;
		bool any = bf_slice_is(items[i].model_name, "*");
		struct plan_owned o = {.kind = BF_OWNER_MODEL_CONFIG, .conf = &items[i].own};

		o.rows.provider = items[i].provider;
		if (!any)
			o.rows.model = bf_model_bare(items[i].model_name, items[i].provider);
		if (of_key)
			o.rows.virtual_key_id = items[i].scope_id;
		m->models[i].conf = &items[i];
		r = plan_owner_add(m, &o, i, 0, &m->models[i].own);
		if (r == 0 && of_key && plan_ids_find(&m->keys, items[i].scope_id) == PLAN_ID_NONE)
			r = names_nobody(m, "virtual key", items[i].scope_id);
	}
	return r;
}

int plan_owners_make(struct plan_maker *m)
{
	int r = add_providers(m);

	if (r == 0)
		r = add_models(m);
	if (r == 0)
		r = add_customers(m);
	if (r == 0)
		r = add_teams(m);
	return r ? r : add_keys(m);
}
