/*
 * Worst-case memory of a worker, printed by the supervisor at start. Must follow the bounds that
 * proxyd/README.md lists.
 */
#include "common/base/macros.h"
#include "common/govern/plan.h"
#include "common/schema/config_priv.h"
#include "common/schema/model_catalog.h"

#define CONNECTION_BYTES 1024u /* an idle connection */
#define PIPELINED_BYTES \
	(80u << 10) /* bytes of the next requests, and what the header may run over */
#define CACHE_BYTES       (8u << 20)
#define TAPE_BYTES        (33u << 20) /* of the body that is being read, and the chunk it keeps */
#define BUFFERS_OF_BODIES 4u /* bodies and answers, each in a buffer of up to twice its size */

#define REQUESTS_MAX   8192u        /* in flight, waiting ones included */
#define REQUEST_BYTES  (16u << 10)  /* what it holds beside its body and header section */
#define TLS_BYTES      (40u << 10)  /* state of a session and one record each way */
#define POOL_BYTES     (128u << 10) /* buffers that all connections to a provider share */
#define POOL_IDLE_MAX  64u
#define UPSTREAM_BYTES (2048u + TLS_BYTES)

/* An entry of the price sheet with its three names and its places in the index. */
#define SHEET_ENTRY_BYTES (sizeof(struct bf_conf_sheet_price) + 3u * 257u + 12u * 8u)
#define PLACE_BYTES       48u          /* where the meter of a limit stands */
#define KEYS_BYTES        (129u << 20) /* virtual keys that a worker holds, and their table */
#define TOLD_BYTES        (16u << 20)  /* limits that metrics tell */
/* A list of models that is as long as one can be, its slices, and its names' places in the catalog;
 * the API can give each provider one. */
#define LIST_BYTES (BF_ENTITY_BYTES_MAX + BF_MODEL_CATALOG_MAX * 64u)

/* A sheet that is fetched, and the one before it while requests have its prices. */
static uint64_t fetched_bytes(const struct bf_conf_pricing *pricing)
{
	return pricing->pricing_url.len ? 2 * BF_SHEET_ENTRIES_MAX * SHEET_ENTRY_BYTES : 0;
}

static uint64_t share(uint64_t of_node, uint32_t workers)
{
	return (of_node + workers - 1) / workers;
}

/* A connection runs a call or is one of the few that idle. */
static uint64_t upstream_bytes(const struct bf_conf_provider *p, uint32_t workers)
{
	uint64_t used = share(p->concurrency_and_buffer_size.concurrency, workers) + POOL_IDLE_MAX;
	uint64_t allowed = share(p->network_config.max_conns_per_host, workers);

	return POOL_BYTES + BF_MIN(used, allowed) * UPSTREAM_BYTES;
}

/* Keys and who owns them come from the snapshot, within a bound; what everybody meets is there
 * twice while it changes. */
uint64_t bf_governance_worst_bytes(const struct bf_conf_governance *governance)
{
	struct bf_conf_governance everybody = *governance;
	struct bf_plan_size plan;

	everybody.virtual_keys.count = everybody.teams.count = everybody.customers.count = 0;
	plan = bf_plan_worst(&everybody);
	return KEYS_BYTES + TOLD_BYTES + 2 * (plan.bytes + plan.limits * PLACE_BYTES) +
	       2 * BF_PROVIDERS_MAX * LIST_BYTES;
}

uint64_t bf_config_worker_worst_bytes(const struct bf_config *config, uint32_t workers)
{
	const struct bf_conf_server *s = &config->server;
	const struct bf_conf_provider *providers = config->providers.items;
	uint64_t connection = CONNECTION_BYTES + PIPELINED_BYTES + s->read_buffer_size_bytes +
			      (s->tls.cert.len ? TLS_BYTES : 0);
	/* One request at a time on a connection. */
	uint64_t requests = BF_MIN(s->max_connections, REQUESTS_MAX);
	uint64_t bytes =
	    BUFFERS_OF_BODIES * s->body_memory_bytes + s->max_connections * connection +
	    requests * REQUEST_BYTES + CACHE_BYTES + TAPE_BYTES + config->governance_bytes +
	    config->pricing.sheet.models * SHEET_ENTRY_BYTES + fetched_bytes(&config->pricing);

	for (uint32_t i = 0; i < config->providers.count; i++)
		bytes += upstream_bytes(&providers[i], workers);
	return bytes;
}
