/*
 * Process slots. Called by the supervisor (assign, set_pid, dead), by each child for its own slot
 * (enter, beat) and by whoever frees a dead one (writerd for slots with rings, else the
 * supervisor). Decides nothing about death itself.
 *
 * Proof. The state word holds {incarnation, state} and every arrow is one compare-and-swap from the
 * exact word that was judged, so an arrow can not be taken twice or from a later life of the slot.
 * Each arrow has one writer (slot.h), which does all that belongs to it before the word moves; all
 * of that is idempotent, so a death before the swap leaves the old state and the same work to be
 * done again, a death after it nothing to do.
 * - killed in assign: FREE, with fields nobody reads; or ASSIGNED without a pid: the next
 * supervisor, which holds the lock of the runtime folder and so knows that nobody of the earlier
 * life is left, marks it DEAD (shm_slot_all_dead).
 * - killed in enter: ASSIGNED, then DEAD by the supervisor.
 * - killed in free: DEAD and still clean; the next one gives the pages back and retires the metrics
 * again.
 */
#include "shm/slot.h"

#include <assert.h>

#include "shm/killpoint.h"
#include "shm/layout.h"
#include "shm/parts.h"

#define STATE_BITS 8

static struct shm_slot *slot(const struct shm_segment *seg, uint32_t p)
{
	assert(p < SHM_PROC_SLOTS);
	return &seg->map->slots[p];
}

static uint64_t load_word(const struct shm_segment *seg, uint32_t p)
{
	/* mo: acquire, pairs with move(): what the last owner of the slot did is behind it */
	return atomic_load_explicit(&slot(seg, p)->state, memory_order_acquire);
}

static enum shm_slot_state state_of(uint64_t word)
{
	uint64_t s = word & ((1u << STATE_BITS) - 1);

	return s < SHM_SLOT_STATE_COUNT ? (enum shm_slot_state)s : SHM_SLOT_STATE_COUNT;
}

/* One arrow; false when somebody else moved the word since it was read. */
static bool move(struct shm_segment *seg, uint32_t p, uint64_t from, uint64_t incarnation,
		 enum shm_slot_state to)
{
	/* mo: acq_rel, pairs with load_word(): hands everything written for the slot to its next
	 * owner */
	return atomic_compare_exchange_strong_explicit(&slot(seg, p)->state, &from,
						       incarnation << STATE_BITS | (uint64_t)to,
						       memory_order_acq_rel, memory_order_relaxed);
}

enum shm_slot_state shm_slot_state(const struct shm_segment *seg, uint32_t p)
{
	return state_of(load_word(seg, p));
}

bool shm_slot_used(const struct shm_segment *seg, uint32_t p)
{
	return load_word(seg, p) >> STATE_BITS > 0;
}

static void put32(_Atomic uint32_t *word, uint32_t v)
{
	/* mo: relaxed, published by move() */
	atomic_store_explicit(word, v, memory_order_relaxed);
}

static void put64(_Atomic int64_t *word, int64_t v)
{
	/* mo: relaxed, published by move() */
	atomic_store_explicit(word, v, memory_order_relaxed);
}

/* The holder's line is the supervisor's while nobody holds the slot. */
static void prepare(struct shm_slot *s, uint16_t role, uint32_t index)
{
	put32(&s->role, role);
	put32(&s->index, index);
	put32(&s->forked_pid, 0);
	put32(&s->pid, 0);
	put64(&s->heartbeat_mono_ns, 0);
	put64(&s->started_wall_ns, 0);
	/* mo: relaxed, published by move() */
	atomic_store_explicit(&s->health, 0, memory_order_relaxed);
}

int shm_slot_assign(struct shm_segment *seg, uint16_t role, uint32_t index)
{
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		uint64_t word = load_word(seg, p);

		if (state_of(word) != SHM_SLOT_FREE)
			continue;
		SHM_KILLPOINT("slot_assign_before");
		if (!shm_touch(&seg->map->desks[p], sizeof(struct shm_desk)) ||
		    !shm_touch(&seg->map->series[p], sizeof(struct shm_series_shard)))
			return -1;
		prepare(slot(seg, p), role, index);
		SHM_KILLPOINT("slot_assign_prepared");
		if (move(seg, p, word, (word >> STATE_BITS) + 1, SHM_SLOT_ASSIGNED)) {
			SHM_KILLPOINT("slot_assign_done");
			return (int)p;
		}
	}
	return -1;
}

void shm_slot_set_pid(struct shm_segment *seg, uint32_t p, uint32_t pid)
{
	/* mo: relaxed, compared by the child and shown; 0 means not yet known */
	atomic_store_explicit(&slot(seg, p)->forked_pid, pid, memory_order_relaxed);
}

int shm_slot_enter(struct shm_segment *seg, uint32_t p, uint32_t pid, int64_t wall_ns,
		   int64_t mono_ns)
{
	struct shm_slot *s;
	uint64_t word;
	uint32_t expected;

	if (p >= SHM_PROC_SLOTS)
		return BF_E_STATE;
	s = slot(seg, p);
	word = load_word(seg, p);
	/* mo: relaxed, the child may be faster than its parent, which then finds the same number */
	expected = atomic_load_explicit(&s->forked_pid, memory_order_relaxed);
	if (state_of(word) != SHM_SLOT_ASSIGNED || (expected != 0 && expected != pid))
		return BF_E_STATE;
	put32(&s->pid, pid);
	put64(&s->started_wall_ns, wall_ns);
	put64(&s->heartbeat_mono_ns, mono_ns);
	SHM_KILLPOINT("slot_enter_written");
	if (!move(seg, p, word, word >> STATE_BITS, SHM_SLOT_LIVE))
		return BF_E_STATE;
	SHM_KILLPOINT("slot_enter_done");
	return 0;
}

void shm_slot_beat(struct shm_segment *seg, uint32_t p, int64_t mono_ns)
{
	/* mo: relaxed, a time that publishes nothing but itself */
	atomic_store_explicit(&slot(seg, p)->heartbeat_mono_ns, mono_ns, memory_order_relaxed);
}

void shm_slot_dead(struct shm_segment *seg, uint32_t p)
{
	uint64_t word = load_word(seg, p);
	enum shm_slot_state s = state_of(word);

	if (s != SHM_SLOT_ASSIGNED && s != SHM_SLOT_LIVE)
		return;
	SHM_KILLPOINT("slot_dead_before");
	/* Its holder was reaped: nobody is left who could make this fail. */
	(void)move(seg, p, word, word >> STATE_BITS, SHM_SLOT_DEAD);
	SHM_KILLPOINT("slot_dead_after");
}

void shm_slot_all_dead(struct shm_segment *seg)
{
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++)
		shm_slot_dead(seg, p);
}

int shm_slot_free(struct shm_segment *seg, uint32_t p)
{
	uint64_t word;

	if (p >= SHM_PROC_SLOTS)
		return BF_E_STATE;
	word = load_word(seg, p);
	if (state_of(word) != SHM_SLOT_DEAD)
		return BF_E_STATE;
	if (shm_usage_waiting(seg, p) > 0 || shm_content_waiting_bytes(seg, p) > 0 ||
	    shm_inflight_count(seg, p) > 0)
		return BF_E_STATE;
	shm_usage_retire(seg, p);
	shm_content_retire(seg, p);
	shm_inflight_retire(seg, p);
	SHM_KILLPOINT("slot_free_given_back");
	shm_metrics_retire(seg, p);
	SHM_KILLPOINT("slot_free_retired");
	if (!move(seg, p, word, word >> STATE_BITS, SHM_SLOT_FREE))
		return BF_E_STATE;
	SHM_KILLPOINT("slot_free_done");
	return 0;
}

static uint32_t get32(const _Atomic uint32_t *word)
{
	/* mo: acquire, so that the second look at the state comes after it (shm_slot_info) */
	return atomic_load_explicit(word, memory_order_acquire);
}

static int64_t get64(const _Atomic int64_t *word)
{
	/* mo: acquire, so that the second look at the state comes after it (shm_slot_info) */
	return atomic_load_explicit(word, memory_order_acquire);
}

static void read_fields(const struct shm_slot *s, uint64_t word, struct shm_slot_info *i)
{
	i->state = state_of(word);
	i->incarnation = word >> STATE_BITS;
	i->role = (uint16_t)get32(&s->role);
	i->index = get32(&s->index);
	i->pid = get32(&s->pid);
	if (i->pid == 0)
		i->pid = get32(&s->forked_pid);
	i->started_wall_ns = get64(&s->started_wall_ns);
	i->heartbeat_mono_ns = get64(&s->heartbeat_mono_ns);
}

void shm_slot_info(const struct shm_segment *seg, uint32_t p, struct shm_slot_info *ret_info)
{
	uint64_t word = load_word(seg, p);

	/* A slot changes hands seldom; should it do so three times under our eyes, fields of two
	 * lives are shown. */
	for (int tries = 0; tries < 3; tries++) {
		uint64_t again;

		read_fields(slot(seg, p), word, ret_info);
		again = load_word(seg, p);
		if (again == word)
			break;
		word = again;
	}
}

const char *shm_slot_state_name(enum shm_slot_state s)
{
	static const char *const names[SHM_SLOT_STATE_COUNT] = {
	    [SHM_SLOT_FREE] = "free",
	    [SHM_SLOT_ASSIGNED] = "assigned",
	    [SHM_SLOT_LIVE] = "live",
	    [SHM_SLOT_DEAD] = "dead",
	};

	return (unsigned)s < SHM_SLOT_STATE_COUNT ? names[s] : "unknown";
}

int shm_slot_valid(const struct shm_segment *seg, uint32_t p, struct bf_err *err)
{
	uint64_t word = load_word(seg, p);

	if (state_of(word) == SHM_SLOT_STATE_COUNT ||
	    (state_of(word) != SHM_SLOT_FREE && word >> STATE_BITS == 0))
		return bf_err_set(
		    err, BF_E_CORRUPT,
		    "segment: process slot %u: impossible state %llx: stop bifrost and remove "
		    "the segment file",
		    p, (unsigned long long)word);
	return 0;
}
