/*
 * Numbers of a provider that must fit each other, or the workers. A default gives way to what the
 * file says, so that one changed key does not ask for others; two that were given and contradict
 * each other are an error. Called by complete.c for a file that has no other error.
 */
#include <inttypes.h>
#include <sched.h>

#include "common/base/num.h"
#include "common/schema/config_priv.h"

struct timed {
	const char *name;
	int64_t *value;
};

static const struct bf_node *given_in(const struct bf_node *network, const char *name)
{
	const struct bf_node *node = bf_node_member(network, name);

	return node && !bf_node_is_null(node) ? node : NULL;
}

static void fit(struct bf_whole *w, struct bf_slice provider, const struct bf_node *network,
		struct timed low, struct timed high)
{
	const struct bf_node *low_node = given_in(network, low.name);
	char low_text[32], high_text[32];

	if (*low.value <= *high.value)
		return;
	if (!low_node) {
		*low.value = *high.value;
		return;
	}
	if (!given_in(network, high.name)) {
		*high.value = *low.value;
		return;
	}
	bf_diag(w->diags, BF_DIAG_ERROR, low_node->pos,
		"providers.%.*s.network_config: %s (%s) is above %s (%s): lower the one or raise "
		"the other",
		BF_SLICE_FMT(provider), low.name, bf_format_duration_ms(*low.value, low_text),
		high.name, bf_format_duration_ms(*high.value, high_text));
}

static void settle(struct bf_whole *w, struct bf_conf_provider *p, const struct bf_node *network)
{
	struct bf_conf_network *n = &p->network_config;
	struct timed total = {"total_timeout_in_seconds", &n->total_timeout_ms};
	struct timed request = {"default_request_timeout_in_seconds", &n->request_timeout_ms};
	struct timed first = {"first_byte_timeout_in_seconds", &n->first_byte_timeout_ms};
	struct timed connect = {"connect_timeout_in_seconds", &n->connect_timeout_ms};
	struct timed initial = {"retry_backoff_initial", &n->retry_backoff_initial_ms};
	struct timed longest = {"retry_backoff_max", &n->retry_backoff_max_ms};

	fit(w, p->name, network, request, total);
	fit(w, p->name, network, first, total);
	fit(w, p->name, network, connect, total);
	fit(w, p->name, network, initial, longest);
}

/* Without a number there is one for each core that this process may use. */
static uint64_t workers_of(const struct bf_config *config)
{
	cpu_set_t cores;
	uint64_t workers = config->supervisor.workers;

	if (workers)
		return workers;
	CPU_ZERO(&cores);
	if (sched_getaffinity(0, sizeof(cores), &cores) < 0)
		return 1;
	return BF_MIN((uint64_t)CPU_COUNT(&cores), (uint64_t)BF_WORKERS_MAX);
}

/* Every worker has its share, rounded up: a limit below their number does not hold. */
static void warn_small(struct bf_whole *w, const struct bf_node *node, struct bf_slice provider,
		       const char *name, uint64_t limit)
{
	uint64_t workers = workers_of(w->config);

	if (limit >= workers)
		return;
	bf_diag(
	    w->diags, BF_DIAG_WARNING, bf_node_pos(node),
	    "providers.%.*s.%s: %" PRIu64 " is divided among %" PRIu64
	    " workers and at least one runs on each: lower supervisor.workers, or expect %" PRIu64,
	    BF_SLICE_FMT(provider), name, limit, workers, workers);
}

static void check_shares(struct bf_whole *w, const struct bf_conf_provider *p,
			 const struct bf_node *provider)
{
	const struct bf_node *bounds = bf_node_member(provider, "concurrency_and_buffer_size");
	const struct bf_node *network = bf_node_member(provider, "network_config");

	warn_small(w, bf_node_member(bounds, "concurrency"), p->name,
		   "concurrency_and_buffer_size.concurrency",
		   p->concurrency_and_buffer_size.concurrency);
	warn_small(w, bf_node_member(network, "max_conns_per_host"), p->name,
		   "network_config.max_conns_per_host", p->network_config.max_conns_per_host);
}

void bf_networks_settle(struct bf_whole *w)
{
	struct bf_conf_provider *providers = w->config->providers.items;
	const struct bf_node *map = bf_node_member(w->root, "providers");

	for (uint32_t i = 0; i < w->config->providers.count; i++) {
		const struct bf_node *provider = bf_node_child(map, i);

		settle(w, &providers[i], bf_node_member(provider, "network_config"));
		check_shares(w, &providers[i], provider);
	}
}
