/*
 * In-flight table: which requests a worker has admitted and not finished, one bit each, with
 * everything their row needs. Called by proxyd (begin, progress, push, end) and, once the worker is
 * reaped, by writerd (sweep, swept); never by both at a time: the state of the process slot says
 * whose it is.
 *
 * Proof. The bit is the truth. A request is begun by one release store that sets its bit, after the
 * entry was written: a death before it leaves no request, a death after it an entry that says
 * everything. It ends by one release store that clears the bit, after the record was published in
 * the usage ring. So after a death at any step a begun request is in the ring, or held, or both,
 * never neither. Both happens only between those two stores; the sweep runs only when the ring is
 * empty, that is after the ring's row is committed, and the second row has the same id, which the
 * store refuses. The sweeper clears a bit after its row is committed; killed before that, its
 * successor makes the same row again. Nothing is repaired: held entries are swept.
 *
 * A change of key is written into the half that is not read and then named by one store, so a sweep
 * tells one key or the other, never a mixture.
 *
 * What an end needs is kept by begin: room, and memory behind it, for held + 1 records. Room
 * shrinks only by pushes, each of which ends one held request, so a push always finds room.
 *
 * Meters. Numbers for the row and numbers for the meters are the same, whoever brings them. Until
 * the entry is CLOSING there is no record, and the sweeper decides by what is reserved, which a
 * repetition finds decided (CLOSING) or as it was (HELD). From CLOSING on the entry says the
 * charge: the record was made of the same numbers, or will be made of the entry; the second of both
 * is refused. The meters are closed before the bit is cleared, by the worker after its push, by the
 * sweeper after its commit: a death in between leaves the entry held, and CLOSING is closed once by
 * whoever comes next (meter.c), SETTLED not again.
 */
#include "shm/inflight.h"

#include <assert.h>
#include <string.h>

#include "shm/killpoint.h"
#include "shm/layout.h"
#include "shm/meter_op.h"
#include "shm/parts.h"

static struct shm_desk *desk(const struct shm_segment *seg, uint32_t p)
{
	assert(p < SHM_PROC_SLOTS);
	return &seg->map->desks[p];
}

static struct shm_inflight_entry *entry_at(const struct shm_segment *seg, uint32_t p, uint32_t i)
{
	assert(p < SHM_PROC_SLOTS && i < SHM_INFLIGHT_ENTRIES);
	return &seg->map->stores[p].inflight[i];
}

/* Words that can have bits: a bound for every scan, and at most SHM_INFLIGHT_WORDS whatever the
 * word says. */
static uint32_t words_used(const struct shm_desk *d)
{
	/* mo: acquire, pairs with set_bit(): it was stored before the first bit of its last word */
	uint32_t n = atomic_load_explicit(&d->words_used, memory_order_acquire);

	return n < SHM_INFLIGHT_WORDS ? n : SHM_INFLIGHT_WORDS;
}

/* Owner of the table: the lowest free entry, so that few pages are ever touched. -1: none. */
static int find_free(const struct shm_desk *d)
{
	for (uint32_t w = 0; w < SHM_INFLIGHT_WORDS; w++) {
		/* mo: relaxed, the owner's own word */
		uint64_t bits = atomic_load_explicit(&d->held_bits[w], memory_order_relaxed);

		if (bits != UINT64_MAX)
			return (int)(w * 64 + (uint32_t)__builtin_ctzll(~bits));
	}
	return -1;
}

static void set_bit(struct shm_desk *d, uint32_t i)
{
	uint32_t w = i / 64;
	/* mo: relaxed, the owner's own words (both loads) */
	uint64_t bits = atomic_load_explicit(&d->held_bits[w], memory_order_relaxed);

	/* mo: relaxed, the owner's own word */
	if (w >= atomic_load_explicit(&d->words_used, memory_order_relaxed))
		/* mo: release, pairs with words_used() */
		atomic_store_explicit(&d->words_used, w + 1, memory_order_release);
	SHM_KILLPOINT("inflight_begin_written");
	/* mo: release, pairs with shm_inflight_count() and shm_inflight_sweep(): the entry is whole
	 */
	atomic_store_explicit(&d->held_bits[w], bits | UINT64_C(1) << i % 64, memory_order_release);
	SHM_KILLPOINT("inflight_begin_held");
}

static void clear_bit(struct shm_desk *d, uint32_t i)
{
	/* mo: relaxed, the owner's own word */
	uint64_t bits = atomic_load_explicit(&d->held_bits[i / 64], memory_order_relaxed);

	assert(bits >> i % 64 & 1);
	/* mo: release, pairs with shm_inflight_count(): the record stands in the ring, or its row
	 * in the store */
	atomic_store_explicit(&d->held_bits[i / 64], bits & ~(UINT64_C(1) << i % 64),
			      memory_order_release);
}

/* Memory behind the 64 entries of a word that is used for the first time. */
static bool prepare_word(const struct shm_segment *seg, uint32_t p, uint32_t w)
{
	/* mo: relaxed, the holder's own word */
	if (w < atomic_load_explicit(&desk(seg, p)->words_used, memory_order_relaxed))
		return true;
	return shm_touch(entry_at(seg, p, w * 64), 64 * sizeof(struct shm_inflight_entry));
}

/* Fields from first up to, without, past. */
#define COPY(to, from, first, past)                                             \
	memcpy((char *)(to) + offsetof(struct shm_usage_record, first),         \
	       (const char *)(from) + offsetof(struct shm_usage_record, first), \
	       offsetof(struct shm_usage_record, past) - offsetof(struct shm_usage_record, first))

/* What a request knows of itself when it begins; the other half is of its end. */
static void copy_beginning(struct shm_usage_record *to, const struct shm_usage_record *from)
{
	COPY(to, from, id, error_type);
	COPY(to, from, key_id, stop_reason);
	COPY(to, from, request_id, attempt_trail);
	COPY(to, from, virtual_key_id, meters);
}

int shm_inflight_begin(struct shm_segment *seg, uint32_t p, const struct shm_usage_record *r)
{
	struct shm_desk *d = desk(seg, p);
	struct shm_inflight_entry *e;
	/* mo: relaxed, the holder's own word */
	uint32_t held = atomic_load_explicit(&d->held, memory_order_relaxed);
	int i;

	if (!shm_usage_keep(seg, p, (uint64_t)held + 1))
		return -1;
	i = find_free(d);
	if (i < 0 || !prepare_word(seg, p, (uint32_t)i / 64))
		return -1;
	e = entry_at(seg, p, (uint32_t)i);
	SHM_KILLPOINT("inflight_begin_before");
	copy_beginning(&e->record, r);
	/* mo: relaxed (all nine), published by set_bit() */
	atomic_store_explicit(&e->prompt_tokens, r->prompt_tokens, memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&e->completion_tokens, r->completion_tokens, memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&e->started_wall_ns, r->started_wall_ns, memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&e->flags, r->flags, memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&e->key_now, 0, memory_order_relaxed);
	/* mo: relaxed, as above: whoever had the entry before left his */
	atomic_store_explicit(&e->meter_state, SHM_METER_NONE, memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&e->meter_count, 0, memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&e->input_pusd, 0, memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&e->output_pusd, 0, memory_order_relaxed);
	set_bit(d, (uint32_t)i);
	/* mo: relaxed, the holder's own count */
	atomic_store_explicit(&d->held, held + 1, memory_order_relaxed);
	return i;
}

void shm_inflight_progress(struct shm_segment *seg, uint32_t p, int entry, uint64_t prompt_tokens,
			   uint64_t completion_tokens, uint32_t flags)
{
	struct shm_inflight_entry *e = entry_at(seg, p, (uint32_t)entry);

	/* mo: relaxed, a number that publishes nothing but itself */
	atomic_store_explicit(&e->prompt_tokens, prompt_tokens, memory_order_relaxed);
	SHM_KILLPOINT("inflight_progress_half");
	/* mo: relaxed, as above: a death between the stores leaves two true numbers of two moments
	 */
	atomic_store_explicit(&e->completion_tokens, completion_tokens, memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&e->flags, flags, memory_order_relaxed);
}

void shm_inflight_price(struct shm_segment *seg, uint32_t p, int entry, int64_t input_pusd,
			int64_t output_pusd)
{
	struct shm_inflight_entry *e = entry_at(seg, p, (uint32_t)entry);

	/* mo: relaxed (both), numbers that publish nothing but themselves */
	atomic_store_explicit(&e->input_pusd, input_pusd, memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&e->output_pusd, output_pusd, memory_order_relaxed);
}

void shm_inflight_rekey(struct shm_segment *seg, uint32_t p, int entry,
			const struct shm_usage_record *r)
{
	struct shm_inflight_entry *e = entry_at(seg, p, (uint32_t)entry);
	/* mo: relaxed, the holder's own word */
	uint32_t now = atomic_load_explicit(&e->key_now, memory_order_relaxed);
	uint32_t next = now == 1 ? 2 : 1;
	struct shm_inflight_key *k = &e->keys[next - 1];

	memcpy(k->key_name, r->key_name, sizeof(k->key_name));
	memcpy(k->key_id, r->key_id, sizeof(k->key_id));
	k->attempts = r->attempts;
	SHM_KILLPOINT("inflight_rekey_written");
	/* mo: release, pairs with take_key(): the half is whole */
	atomic_store_explicit(&e->key_now, next, memory_order_release);
	SHM_KILLPOINT("inflight_rekey_named");
}

static void let_go(struct shm_desk *d, uint32_t i)
{
	uint32_t held;

	clear_bit(d, i);
	SHM_KILLPOINT("inflight_end_cleared");
	/* mo: relaxed, the holder's own count */
	held = atomic_load_explicit(&d->held, memory_order_relaxed);
	/* mo: relaxed, the holder's own count */
	atomic_store_explicit(&d->held, held - 1, memory_order_relaxed);
}

void shm_inflight_push(struct shm_segment *seg, uint32_t p, int entry,
		       const struct shm_usage_record *r)
{
	int pushed;

	assert(entry >= 0 && entry < (int)SHM_INFLIGHT_ENTRIES);
	(void)entry;
	pushed = shm_usage_push(seg, p, r);
	assert(pushed == 0);
	(void)pushed;
	SHM_KILLPOINT("inflight_pushed");
}

void shm_inflight_end(struct shm_segment *seg, uint32_t p, int entry)
{
	enum shm_meter_state s = meter_state_of(entry_at(seg, p, (uint32_t)entry));

	assert(s == SHM_METER_NONE || s == SHM_METER_SETTLED);
	(void)s;
	let_go(desk(seg, p), (uint32_t)entry);
}

void shm_inflight_finish(struct shm_segment *seg, uint32_t p, int entry,
			 const struct shm_usage_record *r)
{
	shm_inflight_push(seg, p, entry, r);
	shm_inflight_end(seg, p, entry);
}

void shm_inflight_cancel(struct shm_segment *seg, uint32_t p, int entry)
{
	assert(meter_state_of(entry_at(seg, p, (uint32_t)entry)) == SHM_METER_NONE);
	SHM_KILLPOINT("inflight_cancel");
	let_go(desk(seg, p), (uint32_t)entry);
}

uint32_t shm_inflight_count(const struct shm_segment *seg, uint32_t p)
{
	const struct shm_desk *d = desk(seg, p);
	uint32_t words = words_used(d);
	uint32_t n = 0;

	for (uint32_t w = 0; w < words; w++) {
		/* mo: acquire, pairs with set_bit() and clear_bit() */
		uint64_t bits = atomic_load_explicit(&d->held_bits[w], memory_order_acquire);

		n += (uint32_t)__builtin_popcountll(bits);
	}
	return n;
}

/* The next held entry at or after from; -1: none. */
static int find_held(const struct shm_desk *d, uint32_t from)
{
	uint32_t words = words_used(d);

	for (uint32_t w = from / 64; w < words; w++) {
		/* mo: acquire, pairs with set_bit(): the entry is whole */
		uint64_t bits = atomic_load_explicit(&d->held_bits[w], memory_order_acquire);

		if (w == from / 64)
			bits &= UINT64_MAX << from % 64;
		if (bits)
			return (int)(w * 64 + (uint32_t)__builtin_ctzll(bits));
	}
	return -1;
}

static void set_text(char *field, size_t size, const char *text)
{
	size_t len = strlen(text);

	memset(field, 0, size);
	memcpy(field, text, len < size ? len : size);
}

/* The key that the request was with when its worker died. */
static void take_key(struct shm_inflight_entry *e, struct shm_usage_record *r)
{
	/* mo: acquire, pairs with shm_inflight_rekey() */
	uint32_t now = atomic_load_explicit(&e->key_now, memory_order_acquire);

	if (now != 1 && now != 2)
		return;
	memcpy(r->key_name, e->keys[now - 1].key_name, sizeof(r->key_name));
	memcpy(r->key_id, e->keys[now - 1].key_id, sizeof(r->key_id));
	r->attempts = e->keys[now - 1].attempts;
}

/* What its meters are charged: in the record the same as in them. True: money was. */
static bool take_charges(struct shm_segment *seg, uint32_t p, uint32_t i,
			 struct shm_usage_record *r)
{
	const struct shm_meter_entry *x = entry_at(seg, p, i)->meters;
	int64_t charged[SHM_METERS_PER_REQUEST];
	bool money = false;

	r->meter_count = meter_sweep_decide(seg, p, i, charged);
	for (uint32_t k = 0; k < r->meter_count; k++) {
		r->meters[k] = meter_of(&x[k]);
		r->epochs[k] = x[k].epoch;
		switch (shm_meter_quantity(seg, r->meters[k])) {
		case SHM_METER_REQUESTS:
			r->requests_charged = (uint32_t)charged[k];
			break;
		case SHM_METER_TOKENS:
			r->tokens_charged = (uint64_t)charged[k];
			break;
		case SHM_METER_NUSD:
			r->cost_nusd = charged[k];
			money = true;
			break;
		default: /* given back whole */
			break;
		}
	}
	return money;
}

/* Rounded half up, as common/govern/price.h has it. */
static int64_t cost_seen(const struct shm_inflight_entry *e, const struct shm_usage_record *r)
{
	/* mo: relaxed (both), as in shm_inflight_sweep() */
	int64_t input = atomic_load_explicit(&e->input_pusd, memory_order_relaxed);
	/* mo: relaxed, as above */
	int64_t output = atomic_load_explicit(&e->output_pusd, memory_order_relaxed);

	if (input <= 0 && output <= 0)
		return r->cost_nusd;
	input = input > 0 ? input : 0;
	output = output > 0 ? output : 0;
	shm_raw128 pusd = (shm_raw128)r->prompt_tokens * (uint64_t)input +
			  (shm_raw128)r->completion_tokens * (uint64_t)output + 500;
	shm_raw128 nusd = pusd / 1000;

	return nusd > SHM_METER_AMOUNT_MAX ? SHM_METER_AMOUNT_MAX : (int64_t)nusd;
}

int shm_inflight_sweep(struct shm_segment *seg, uint32_t p, int from, int64_t now_wall_ns,
		       struct shm_usage_record *ret_record)
{
	const struct shm_desk *d = desk(seg, p);
	struct shm_inflight_entry *e;
	uint64_t prompt, completion;
	int i;

	if (shm_slot_state(seg, p) != SHM_SLOT_DEAD || shm_usage_waiting(seg, p) > 0)
		return -1;
	i = find_held(d, from > 0 ? (uint32_t)from : 0);
	if (i < 0)
		return -1;
	e = entry_at(seg, p, (uint32_t)i);
	memset(ret_record, 0, sizeof(*ret_record));
	copy_beginning(ret_record, &e->record);
	take_key(e, ret_record);
	bool money = take_charges(seg, p, (uint32_t)i, ret_record);
	/* mo: relaxed (all three), the writer is dead and shm_slot_state() ordered its last store
	 * before us */
	prompt = atomic_load_explicit(&e->prompt_tokens, memory_order_relaxed);
	/* mo: relaxed, as above */
	completion = atomic_load_explicit(&e->completion_tokens, memory_order_relaxed);
	/* mo: relaxed, as above */
	ret_record->flags |= atomic_load_explicit(&e->flags, memory_order_relaxed);
	ret_record->flags |= SHM_USAGE_CRASHED | SHM_USAGE_ESTIMATED;
	if (prompt > ret_record->prompt_tokens)
		ret_record->prompt_tokens = prompt;
	if (completion > ret_record->completion_tokens)
		ret_record->completion_tokens = completion;
	if (!money)
		ret_record->cost_nusd = cost_seen(e, ret_record);
	ret_record->status = SHM_USAGE_ERROR;
	if (now_wall_ns > ret_record->started_wall_ns)
		ret_record->latency_us = (now_wall_ns - ret_record->started_wall_ns) / 1000;
	set_text(ret_record->error_type, sizeof(ret_record->error_type), "worker_crashed");
	set_text(ret_record->error_text, sizeof(ret_record->error_text),
		 "the worker died before the request ended; token numbers are what it had seen");
	return i;
}

void shm_inflight_swept(struct shm_segment *seg, uint32_t p, int entry)
{
	assert(entry >= 0 && entry < (int)SHM_INFLIGHT_ENTRIES);
	meter_sweep_close(seg, p, (uint32_t)entry);
	SHM_KILLPOINT("inflight_swept_before");
	clear_bit(desk(seg, p), (uint32_t)entry);
	SHM_KILLPOINT("inflight_swept_after");
}

int shm_inflight_valid(const struct shm_segment *seg, uint32_t p, struct bf_err *err)
{
	const struct shm_desk *d = desk(seg, p);
	uint32_t words;

	for (uint32_t w = 0; w < SHM_INFLIGHT_WORDS; w++) {
		/* mo: acquire, pairs with set_bit(): words_used was stored before the bit we may
		 * see */
		uint64_t bits = atomic_load_explicit(&d->held_bits[w], memory_order_acquire);

		/* mo: acquire, as above */
		words = atomic_load_explicit(&d->words_used, memory_order_acquire);
		if (words > SHM_INFLIGHT_WORDS || (bits && w >= words))
			return bf_err_set(
			    err, BF_E_CORRUPT,
			    "segment: in-flight table of process slot %u: word %u is set beyond "
			    "%u in use: stop bifrost and remove the segment file",
			    p, w, words);
	}
	return 0;
}

void shm_inflight_retire(struct shm_segment *seg, uint32_t p)
{
	struct shm_desk *d = desk(seg, p);
	size_t bytes = (size_t)words_used(d) * 64 * sizeof(struct shm_inflight_entry);

	shm_give_back(seg->map->stores[p].inflight, bytes);
	SHM_KILLPOINT("inflight_retire_given_back");
	/* mo: relaxed (both), published to the next holder by the slot's state */
	atomic_store_explicit(&d->held, 0, memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&d->words_used, 0, memory_order_relaxed);
}
