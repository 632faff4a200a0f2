/*
 * The worker's state and budgets. Called by main and by every stage. Must never know a stage: it
 * only counts.
 */
#include "proxyd/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "proxyd/exchange.h"
#include "shm/slot.h"

void worker_init(struct worker *w, struct ev_loop *loop, struct shm_segment *seg,
		 uint32_t proc_slot, const struct bf_config *config)
{
	struct shm_slot_info info;

	memset(w, 0, sizeof(*w));
	shm_slot_info(seg, proc_slot, &info);
	w->loop = loop;
	w->seg = seg;
	w->proc_slot = proc_slot;
	w->incarnation = info.incarnation;
	w->config = config;
	w->client = &config->client;
	w->doorbell_fd = -1;
	w->workers = 1;
	w->version = "";
	w->started_mono_ms = bf_mono_ms();
	bf_buf_init(&w->text, WORKER_TEXT_MAX);
	bf_arena_init_nodump(&w->tape_arena, WORKER_TAPE_MAX);
	bf_arena_keep(&w->tape_arena, WORKER_TAPE_KEEP);
}

void worker_done(struct worker *w)
{
	exchange_free_spares(w);
	free(w->refused);
	bf_buf_done(&w->text);
	bf_arena_done(&w->tape_arena);
}

bool worker_body_fits(struct worker *w, uint64_t n)
{
	uint64_t limit = w->config->server.body_memory_bytes;

	if (n <= limit && w->body_bytes <= limit - n)
		return true;
	worker_count(w, SHM_M_BODY_REFUSED);
	return false;
}

bool worker_body_take(struct worker *w, uint64_t n)
{
	if (!worker_body_fits(w, n))
		return false;
	w->body_bytes += n;
	shm_metric_set(w->seg, w->proc_slot, SHM_M_BODY_BYTES, (int64_t)w->body_bytes);
	return true;
}

void worker_body_give(struct worker *w, uint64_t n)
{
	if (n == 0)
		return;
	assert(w->body_bytes >= n);
	w->body_bytes -= n;
	shm_metric_set(w->seg, w->proc_slot, SHM_M_BODY_BYTES, (int64_t)w->body_bytes);
}

bool worker_answer_take(struct worker *w, uint64_t n)
{
	uint64_t limit = w->config->server.body_memory_bytes;

	if (n > limit || w->answer_bytes > limit - n)
		return false;
	w->answer_bytes += n;
	return true;
}

void worker_answer_give(struct worker *w, uint64_t n)
{
	assert(w->answer_bytes >= n);
	w->answer_bytes -= n;
}
