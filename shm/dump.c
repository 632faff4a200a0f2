/*
 * A readable picture of a segment. Called by bifrostctl on a read-only mapping, while writers run
 * or after all of them died. Reads atomic words only, so it disturbs nobody and needs no consistent
 * moment: numbers may be of neighbouring instants. Never touches the desk of a slot that was never
 * held, nor any bulk but held entries: a read would take a page.
 */
#include "shm/dump.h"

#include <string.h>

#include "shm/health.h"
#include "shm/layout.h"
#include "shm/parts.h"

struct slot_picture {
	struct shm_slot_info info;
	uint64_t health;
	uint64_t usage_waiting, overflow_waiting, usage_total;
	uint64_t content_bytes, content_dropped, content_damaged;
	uint32_t inflight;
	int64_t oldest_wall_ns; /* start of the oldest request in flight; 0: none */
};

static int64_t oldest_started(const struct shm_segment *seg, uint32_t p)
{
	const struct shm_desk *d = &seg->map->desks[p];
	int64_t oldest = 0;

	for (uint32_t w = 0; w < SHM_INFLIGHT_WORDS; w++) {
		/* mo: acquire, pairs with shm_inflight_begin() */
		uint64_t bits = atomic_load_explicit(&d->held_bits[w], memory_order_acquire);

		for (; bits; bits &= bits - 1) {
			uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(bits);
			const struct shm_inflight_entry *e = &seg->map->stores[p].inflight[i];
			/* mo: relaxed, a time that publishes nothing but itself */
			int64_t t = atomic_load_explicit(&e->started_wall_ns, memory_order_relaxed);

			if (t > 0 && (oldest == 0 || t < oldest))
				oldest = t;
		}
	}
	return oldest;
}

static void take_picture(const struct shm_segment *seg, uint32_t p, struct slot_picture *s)
{
	const struct shm_desk *d = &seg->map->desks[p];

	shm_slot_info(seg, p, &s->info);
	/* mo: relaxed (all), words and numbers that publish nothing but themselves */
	s->health = atomic_load_explicit(&seg->map->slots[p].health, memory_order_relaxed);
	s->usage_waiting = shm_usage_waiting(seg, p);
	s->overflow_waiting = shm_usage_overflow_waiting(seg, p);
	/* mo: relaxed, as above */
	s->usage_total = atomic_load_explicit(&d->usage.tail, memory_order_relaxed);
	/* mo: relaxed, as above */
	s->usage_total += atomic_load_explicit(&d->overflow.tail, memory_order_relaxed);
	s->content_bytes = shm_content_waiting_bytes(seg, p);
	s->content_dropped = shm_content_dropped(seg, p);
	/* mo: relaxed, as above */
	s->content_damaged = atomic_load_explicit(&d->content.damaged, memory_order_relaxed);
	s->inflight = shm_inflight_count(seg, p);
	s->oldest_wall_ns = oldest_started(seg, p);
}

static int text_slot(const struct slot_picture *s, uint32_t p, struct bf_buf *out)
{
	int r = bf_buf_printf(
	    out,
	    "slot %u: %s role=%u index=%u pid=%u incarnation=%llu heartbeat_ms=%lld\n"
	    "  usage: waiting=%llu overflow=%llu total=%llu\n"
	    "  content: waiting_bytes=%llu dropped=%llu damaged=%llu\n"
	    "  inflight: held=%u oldest_started_ms=%lld\n",
	    p, shm_slot_state_name(s->info.state), s->info.role, s->info.index, s->info.pid,
	    (unsigned long long)s->info.incarnation,
	    (long long)(s->info.heartbeat_mono_ns / 1000000), (unsigned long long)s->usage_waiting,
	    (unsigned long long)s->overflow_waiting, (unsigned long long)s->usage_total,
	    (unsigned long long)s->content_bytes, (unsigned long long)s->content_dropped,
	    (unsigned long long)s->content_damaged, s->inflight,
	    (long long)(s->oldest_wall_ns / 1000000));

	for (int b = 0; b < SHM_HEALTH_COUNT && r == 0; b++) {
		if (s->health >> b & 1)
			r = bf_buf_printf(out, "  health: %s: %s\n", shm_health_defs[b].component,
					  shm_health_defs[b].reason);
	}
	return r;
}

static int text_slots(const struct shm_segment *seg, struct bf_buf *out)
{
	uint32_t free_slots = 0;
	int r = 0;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS && r == 0; p++) {
		struct slot_picture s;

		if (shm_slot_state(seg, p) == SHM_SLOT_FREE) {
			free_slots++;
			continue;
		}
		take_picture(seg, p, &s);
		r = text_slot(&s, p, out);
	}
	return r < 0 ? r : bf_buf_printf(out, "free slots: %u of %u\n", free_slots, SHM_PROC_SLOTS);
}

int shm_dump_text(const struct shm_segment *seg, struct bf_buf *out)
{
	const struct shm_header *h = &seg->map->header;
	struct bf_err err = {.code = 0};
	int valid = shm_segment_valid(seg, &err);
	int r = bf_buf_printf(
	    out,
	    "segment: layout=%u size_bytes=%llu created_ms=%lld generation=%llu draining=%d\n"
	    "consistent: %s\n",
	    h->layout_version, (unsigned long long)h->size_bytes,
	    (long long)(h->created_wall_ns / 1000000), (unsigned long long)shm_generation(seg),
	    shm_draining(seg), valid == 0 ? "yes" : err.text);

	if (r == 0)
		r = text_slots(seg, out);
	for (int m = 0; m < SHM_METRIC_COUNT && r == 0; m++)
		r = bf_buf_printf(out, "%s %lld\n", shm_metric_defs[m].exported,
				  (long long)shm_metric_sum(seg, (enum shm_metric)m));
	return r;
}

static int json_health(uint64_t bits, struct bf_buf *out)
{
	const char *comma = "";
	int r = bf_buf_printf(out, "[");

	for (int b = 0; b < SHM_HEALTH_COUNT && r == 0; b++) {
		if (!(bits >> b & 1))
			continue;
		r = bf_buf_printf(out, "%s{\"component\":\"%s\",\"reason\":\"%s\"}", comma,
				  shm_health_defs[b].component, shm_health_defs[b].reason);
		comma = ",";
	}
	return r < 0 ? r : bf_buf_printf(out, "]");
}

static int json_slot(const struct slot_picture *s, uint32_t p, const char *comma,
		     struct bf_buf *out)
{
	int r = bf_buf_printf(
	    out,
	    "%s{\"slot\":%u,\"state\":\"%s\",\"role\":%u,\"index\":%u,\"pid\":%u,\"incarnation\":%"
	    "llu,"
	    "\"started_ms\":%lld,\"heartbeat_ms\":%lld,"
	    "\"usage\":{\"waiting\":%llu,\"overflow\":%llu,\"total\":%llu},"
	    "\"content\":{\"waiting_bytes\":%llu,\"dropped\":%llu,\"damaged\":%llu},"
	    "\"inflight\":{\"held\":%u,\"oldest_started_ms\":%lld},\"health\":",
	    comma, p, shm_slot_state_name(s->info.state), s->info.role, s->info.index, s->info.pid,
	    (unsigned long long)s->info.incarnation, (long long)(s->info.started_wall_ns / 1000000),
	    (long long)(s->info.heartbeat_mono_ns / 1000000), (unsigned long long)s->usage_waiting,
	    (unsigned long long)s->overflow_waiting, (unsigned long long)s->usage_total,
	    (unsigned long long)s->content_bytes, (unsigned long long)s->content_dropped,
	    (unsigned long long)s->content_damaged, s->inflight,
	    (long long)(s->oldest_wall_ns / 1000000));

	if (r == 0)
		r = json_health(s->health, out);
	return r < 0 ? r : bf_buf_printf(out, "}");
}

static int json_slots(const struct shm_segment *seg, struct bf_buf *out)
{
	const char *comma = "";
	int r = bf_buf_printf(out, ",\"slots\":[");

	for (uint32_t p = 0; p < SHM_PROC_SLOTS && r == 0; p++) {
		struct slot_picture s;

		if (shm_slot_state(seg, p) == SHM_SLOT_FREE)
			continue;
		take_picture(seg, p, &s);
		r = json_slot(&s, p, comma, out);
		comma = ",";
	}
	return r < 0 ? r : bf_buf_printf(out, "]");
}

/* The labels of a name have quotes. */
static int json_metric(struct bf_buf *out, const char *comma, const char *name, int64_t sum)
{
	int r = bf_buf_printf(out, "%s\"", comma);

	while (r == 0 && *name) {
		size_t plain = strcspn(name, "\"");

		r = bf_buf_printf(out, "%.*s%s", (int)plain, name, name[plain] ? "\\\"" : "");
		name += plain + (name[plain] ? 1 : 0);
	}
	return r < 0 ? r : bf_buf_printf(out, "\":%lld", (long long)sum);
}

int shm_dump_json(const struct shm_segment *seg, struct bf_buf *out)
{
	const struct shm_header *h = &seg->map->header;
	int r = bf_buf_printf(
	    out,
	    "{\"layout\":%u,\"size_bytes\":%llu,\"created_ms\":%lld,\"generation\":%llu,"
	    "\"draining\":%s,\"consistent\":%s",
	    h->layout_version, (unsigned long long)h->size_bytes,
	    (long long)(h->created_wall_ns / 1000000), (unsigned long long)shm_generation(seg),
	    shm_draining(seg) ? "true" : "false",
	    shm_segment_valid(seg, NULL) == 0 ? "true" : "false");

	if (r == 0)
		r = json_slots(seg, out);
	if (r == 0)
		r = bf_buf_printf(out, ",\"metrics\":{");
	for (int m = 0; m < SHM_METRIC_COUNT && r == 0; m++)
		r = json_metric(out, m ? "," : "", shm_metric_defs[m].exported,
				shm_metric_sum(seg, (enum shm_metric)m));
	return r < 0 ? r : bf_buf_printf(out, "}}");
}
