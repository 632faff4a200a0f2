/*
 * Metric shards. Called by every process for its own shard and by whoever shows sums; never shared
 * by two writers.
 *
 * Proof that nothing is lost or counted twice when a holder dies. A shard belongs to the identity,
 * not to its holder: counters are never zeroed, the next holder goes on counting. So a sum over all
 * shards never steps back and there is no moment at which a number stands in two places. Retiring a
 * dead holder's shard is "base := value" for counters and "value := 0" for gauges: nobody else
 * writes meanwhile (the slot is DEAD), so doing it twice, or half and then wholly after a kill,
 * ends in the same words. The base is the retired part; value - base is what the present holder
 * counted. A double-buffered fold into one retired shard was weighed: it needs a commit word, and
 * readers that retry around it.
 */
#include "shm/metrics.h"

#include <assert.h>

#include "shm/killpoint.h"
#include "shm/layout.h"
#include "shm/parts.h"

_Static_assert((int)SHM_METRIC_COUNT < (int)SHM_METRIC_SPACE, "the shard has room to grow");

const struct shm_metric_def shm_metric_defs[SHM_METRIC_COUNT] = {
#define X(name, kind_, exported_, help_) \
	[name] = {.exported = exported_, .help = help_, .kind = SHM_METRIC_##kind_},
#include "shm/metrics.def"
#undef X
};

static int64_t load(const _Atomic int64_t *word)
{
	/* mo: relaxed, a number that publishes nothing but itself */
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic int64_t *word, int64_t n)
{
	/* mo: relaxed, a number that publishes nothing but itself */
	atomic_store_explicit(word, n, memory_order_relaxed);
}

static struct shm_desk *desk(const struct shm_segment *seg, uint32_t p, enum shm_metric m)
{
	assert(p < SHM_PROC_SLOTS && m < SHM_METRIC_COUNT);
	return &seg->map->desks[p];
}

void shm_metric_add(struct shm_segment *seg, uint32_t p, enum shm_metric m, int64_t n)
{
	struct shm_desk *d = desk(seg, p, m);

	assert(n >= 0 || shm_metric_defs[m].kind == SHM_METRIC_GAUGE);
	store(&d->value[m], load(&d->value[m]) + n);
}

void shm_metric_set(struct shm_segment *seg, uint32_t p, enum shm_metric m, int64_t value)
{
	assert(shm_metric_defs[m].kind == SHM_METRIC_GAUGE);
	store(&desk(seg, p, m)->value[m], value);
}

int64_t shm_metric_sum(const struct shm_segment *seg, enum shm_metric m)
{
	int64_t sum = 0;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		if (shm_slot_used(seg, p))
			sum += load(&desk(seg, p, m)->value[m]);
	}
	return sum;
}

int64_t shm_metric_of(const struct shm_segment *seg, uint32_t p, enum shm_metric m)
{
	const struct shm_desk *d = desk(seg, p, m);

	if (!shm_slot_used(seg, p))
		return 0;
	return load(&d->value[m]) - load(&d->base[m]);
}

void shm_metrics_retire(struct shm_segment *seg, uint32_t p)
{
	for (uint32_t i = 0; i < SHM_METRIC_COUNT; i++) {
		struct shm_desk *d = desk(seg, p, (enum shm_metric)i);

		if (shm_metric_defs[i].kind == SHM_METRIC_COUNTER)
			store(&d->base[i], load(&d->value[i]));
		else
			store(&d->value[i], 0);
		SHM_KILLPOINT("metrics_retire_one");
	}
}
