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

_Static_assert((int)SHM_METRIC_COUNT < (int)SHM_ERROR_CLASS_AT, "named numbers have room to grow");
_Static_assert(SHM_ERROR_CLASS_AT + SHM_ERROR_CLASS_COUNT <= SHM_HISTOGRAM_AT, "room for classes");
_Static_assert((int)SHM_HISTOGRAM_END <= (int)SHM_METRIC_SPACE, "histograms fit into the shard");

const struct shm_metric_def shm_metric_defs[SHM_METRIC_COUNT] = {
#define X(name, kind_, exported_, help_) \
	[name] = {.exported = exported_, .help = help_, .kind = SHM_METRIC_##kind_},
#include "shm/metrics.def"
#undef X
};

const struct shm_histogram_def shm_histogram_defs[SHM_HISTOGRAM_COUNT] = {
#define H(name, per_unit_, exported_, help_, ...)         \
	[name] = {.exported = exported_,                  \
		  .help = help_,                          \
		  .per_unit = (per_unit_),                \
		  .at = name##_AT,                        \
		  .bounds = SHM_H_BOUNDS_OF(__VA_ARGS__), \
		  .bound = {__VA_ARGS__}},
#include "shm/histograms.def"
#undef H
};

#define H(name, per_unit, exported, help, ...)                                   \
	_Static_assert(SHM_H_BOUNDS_OF(__VA_ARGS__) <= SHM_HISTOGRAM_BOUNDS_MAX, \
		       "bounds of " #name);
#include "shm/histograms.def"
#undef H

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

static struct shm_desk *desk(const struct shm_segment *seg, uint32_t p, uint32_t place)
{
	assert(p < SHM_PROC_SLOTS && place < SHM_METRIC_SPACE);
	return &seg->map->desks[p];
}

static void add(struct shm_segment *seg, uint32_t p, uint32_t place, int64_t n)
{
	_Atomic int64_t *word = &desk(seg, p, place)->value[place];

	store(word, load(word) + n);
}

static int64_t sum_of(const struct shm_segment *seg, uint32_t place)
{
	int64_t sum = 0;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		if (shm_slot_used(seg, p))
			sum += load(&desk(seg, p, place)->value[place]);
	}
	return sum;
}

void shm_metric_add(struct shm_segment *seg, uint32_t p, enum shm_metric m, int64_t n)
{
	assert(m < SHM_METRIC_COUNT);
	assert(n >= 0 || shm_metric_defs[m].kind == SHM_METRIC_GAUGE);
	add(seg, p, m, n);
}

void shm_metric_set(struct shm_segment *seg, uint32_t p, enum shm_metric m, int64_t value)
{
	assert(shm_metric_defs[m].kind == SHM_METRIC_GAUGE);
	store(&desk(seg, p, m)->value[m], value);
}

int64_t shm_metric_sum(const struct shm_segment *seg, enum shm_metric m)
{
	assert(m < SHM_METRIC_COUNT);
	return sum_of(seg, m);
}

int64_t shm_metric_of(const struct shm_segment *seg, uint32_t p, enum shm_metric m)
{
	const struct shm_desk *d = desk(seg, p, m);

	if (!shm_slot_used(seg, p))
		return 0;
	return load(&d->value[m]) - load(&d->base[m]);
}

void shm_histogram_observe(struct shm_segment *seg, uint32_t p, enum shm_histogram h, int64_t n)
{
	const struct shm_histogram_def *def = &shm_histogram_defs[h];
	uint32_t i = 0;

	if (n < 0)
		n = 0;
	while (i < def->bounds && n > def->bound[i])
		i++;
	add(seg, p, def->at + i, 1);
	add(seg, p, def->at + def->bounds + 1, n);
}

void shm_histogram_sum(const struct shm_segment *seg, enum shm_histogram h,
		       struct shm_histogram_sums *ret_sums)
{
	const struct shm_histogram_def *def = &shm_histogram_defs[h];

	*ret_sums = (struct shm_histogram_sums){.count = 0};
	for (uint32_t i = 0; i <= def->bounds; i++) {
		ret_sums->count += sum_of(seg, def->at + i);
		if (i < def->bounds)
			ret_sums->upto[i] = ret_sums->count;
	}
	ret_sums->sum = sum_of(seg, def->at + def->bounds + 1);
}

void shm_error_class_count(struct shm_segment *seg, uint32_t p, unsigned error_class)
{
	assert(error_class < SHM_ERROR_CLASS_COUNT);
	add(seg, p, SHM_ERROR_CLASS_AT + error_class, 1);
}

int64_t shm_error_class_sum(const struct shm_segment *seg, unsigned error_class)
{
	assert(error_class < SHM_ERROR_CLASS_COUNT);
	return sum_of(seg, SHM_ERROR_CLASS_AT + error_class);
}

static bool is_gauge(uint32_t place)
{
	return place < SHM_METRIC_COUNT && shm_metric_defs[place].kind == SHM_METRIC_GAUGE;
}

void shm_metrics_retire(struct shm_segment *seg, uint32_t p)
{
	for (uint32_t i = 0; i < SHM_HISTOGRAM_END; i++) {
		struct shm_desk *d = desk(seg, p, i);

		if (is_gauge(i))
			store(&d->value[i], 0);
		else
			store(&d->base[i], load(&d->value[i]));
		SHM_KILLPOINT("metrics_retire_one");
	}
}
