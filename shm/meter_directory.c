/*
 * Whose meter stands where. writerd alone places, opens, retires and frees; every process searches.
 * Must never move a meter that may be named by an entry or a record, and never let a search find a
 * place that is not ready.
 *
 * A meter stands in one of the SHM_METER_PROBES places from its identity on. What searches compare
 * is `owner`: 0 where nothing ever stood, which ends a search; METER_HIDDEN where nothing is to be
 * found; else the identity of an open meter. Whose place it is says `claim`, from place to free.
 *
 * Proof. (1) Between an identity's first place and its own no owner is 0: a place is hidden before
 * it is claimed, a claim goes to the first place that has none, and an owner becomes 0 again only
 * when the one after it is 0, behind which no claim is. So a search never stops before an open
 * meter, whatever happens beside it. (2) An owner is set last and hidden first: who finds a meter
 * finds its configuration and its window, of this life. (3) Who resolves looks at the owner again
 * after the configuration; versions count on over all owners of a place and move when one is
 * retired, so a version seen between two looks at one owner is either his or stale. (4) A place is
 * freed when nobody names it. After retire has touched the word no admission can succeed there, and
 * one that did before had written its entry, which collect sees; entries are looked at before
 * records, because an entry ends after its record was pushed. (5) A death at any step leaves: a
 * hidden place of nobody; a claim never opened, which place() finds again as a new one; an open
 * meter that is not found yet, or not any more, which open() or retire() finish; a retired one
 * whose words are half cleared, which is a claim never opened.
 */
#include <errno.h>

#include "shm/killpoint.h"
#include "shm/meter_op.h"
#include "shm/parts.h"

#define METER_HIDDEN UINT64_C(1)

/* ---- pages that were ever used */

static _Atomic uint64_t *page_word(const struct shm_segment *seg, uint32_t m)
{
	return &seg->map->meter_map.pages[m / SHM_METER_PAGE / 64];
}

static bool page_used(const struct shm_segment *seg, uint32_t m)
{
	/* mo: acquire, pairs with use_page(): memory is behind it */
	uint64_t bits = atomic_load_explicit(page_word(seg, m), memory_order_acquire);

	return bits >> (m / SHM_METER_PAGE % 64) & 1;
}

/* Memory first, then the bit that lets others read it. */
static bool use_page(struct shm_segment *seg, uint32_t m)
{
	uint32_t first = m - m % SHM_METER_PAGE;
	/* mo: relaxed, the only writer's own word */
	uint64_t bits = atomic_load_explicit(page_word(seg, m), memory_order_relaxed);

	if (page_used(seg, m))
		return true;
	if (!shm_touch(meter_at(seg, first), SHM_METER_PAGE * sizeof(struct shm_meter)))
		return false;
	SHM_KILLPOINT("meter_page_touched");
	/* mo: release, pairs with page_used() */
	atomic_store_explicit(page_word(seg, m), bits | UINT64_C(1) << (m / SHM_METER_PAGE % 64),
			      memory_order_release);
	return true;
}

/* ---- words of a place */

static uint64_t owner_of(const struct shm_meter *meter)
{
	/* mo: acquire, pairs with set_owner(): what the meter was before it could be found */
	return atomic_load_explicit(&meter->owner, memory_order_acquire);
}

static void set_owner(struct shm_meter *meter, uint64_t owner)
{
	/* mo: release, pairs with owner_of() */
	atomic_store_explicit(&meter->owner, owner, memory_order_release);
	SHM_KILLPOINT("meter_owner");
}

static uint64_t claim_of(const struct shm_meter *meter)
{
	/* mo: acquire, pairs with set_claim() */
	return atomic_load_explicit(&meter->claim, memory_order_acquire);
}

static void set_claim(struct shm_meter *meter, uint64_t claim)
{
	/* mo: release, pairs with claim_of(): the place is hidden, or cleared */
	atomic_store_explicit(&meter->claim, claim, memory_order_release);
	SHM_KILLPOINT("meter_claim");
}

static enum meter_place place_of(const struct shm_meter *meter)
{
	/* mo: acquire, pairs with set_place() of a writerd before us */
	return (enum meter_place)atomic_load_explicit(&meter->place, memory_order_acquire);
}

static void set_place(struct shm_meter *meter, enum meter_place place)
{
	/* mo: release, what was done before a death is seen after it */
	atomic_store_explicit(&meter->place, (uint32_t)place, memory_order_release);
	SHM_KILLPOINT("meter_place");
}

static void set_quantity(struct shm_meter *meter, uint32_t quantity)
{
	/* mo: relaxed, published by owner, and to the next writerd by the death */
	atomic_store_explicit(&meter->quantity, quantity, memory_order_relaxed);
}

static uint32_t probe(uint64_t identity, uint32_t i)
{
	return (uint32_t)(identity + i) & (SHM_METERS - 1);
}

/* ---- any process */

uint32_t shm_meter_find(const struct shm_segment *seg, uint64_t identity)
{
	for (uint32_t i = 0; i < SHM_METER_PROBES; i++) {
		uint32_t m = probe(identity, i);
		uint64_t owner;

		if ((i == 0 || m % SHM_METER_PAGE == 0) && !page_used(seg, m))
			break;
		owner = owner_of(meter_at(seg, m));
		if (owner == identity)
			return m;
		if (owner == 0)
			break;
	}
	return SHM_METER_NOWHERE;
}

uint32_t shm_meter_resolve(const struct shm_segment *seg, uint64_t identity, uint32_t *ret_config)
{
	uint32_t m = shm_meter_find(seg, identity);

	if (m == SHM_METER_NOWHERE)
		return m;
	*ret_config = shm_meter_config(seg, m);
	return owner_of(meter_at(seg, m)) == identity ? m : SHM_METER_NOWHERE;
}

uint64_t shm_meter_identity(const struct shm_segment *seg, uint32_t m)
{
	return page_used(seg, m) ? claim_of(meter_at(seg, m)) : 0;
}

uint32_t shm_meter_quantity(const struct shm_segment *seg, uint32_t m)
{
	if (!page_used(seg, m))
		return 0;
	/* mo: acquire, a number that stands from open to free */
	return atomic_load_explicit(&meter_at(seg, m)->quantity, memory_order_acquire);
}

uint32_t shm_meter_next(const struct shm_segment *seg, uint32_t from)
{
	while (from < SHM_METERS) {
		if (!page_used(seg, from)) {
			from = from - from % SHM_METER_PAGE + SHM_METER_PAGE;
			continue;
		}
		if (claim_of(meter_at(seg, from)) != 0)
			return from;
		from++;
	}
	return SHM_METER_NOWHERE;
}

/* ---- writerd */

int shm_meter_place(struct shm_segment *seg, uint64_t identity, uint32_t *ret_m, bool *ret_new)
{
	uint32_t room = SHM_METER_NOWHERE;
	struct shm_meter *meter;

	assert(identity > METER_HIDDEN);
	for (uint32_t i = 0; i < SHM_METER_PROBES; i++) {
		uint32_t m = probe(identity, i);
		uint64_t claim = shm_meter_identity(seg, m);

		if (claim == identity) {
			*ret_m = m;
			*ret_new = place_of(meter_at(seg, m)) == METER_PLACED;
			return 0;
		}
		if (claim == 0 && room == SHM_METER_NOWHERE)
			room = m;
		if (!page_used(seg, m) || owner_of(meter_at(seg, m)) == 0)
			break;
	}
	if (room == SHM_METER_NOWHERE)
		return BF_E_FULL;
	if (!use_page(seg, room))
		return -ENOMEM;
	meter = meter_at(seg, room);
	set_place(meter, METER_PLACED);
	set_owner(meter, METER_HIDDEN);
	set_claim(meter, identity);
	*ret_m = room;
	*ret_new = true;
	return 0;
}

void shm_meter_load(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t value)
{
	assert(claim_of(meter_at(seg, m)) != 0 && place_of(meter_at(seg, m)) == METER_PLACED);
	assert(value >= 0 && value <= SHM_METER_LIMIT_MAX);
	/* What an earlier owner's place knew ends here. */
	shm_meter_set_remote(seg, m, epoch, 0);
	shm_meter_set_allowance(seg, m, epoch, 0);
	shm_meter_set_missed(seg, m, epoch, 0);
	shm_meter_set_settled(seg, m, epoch, value);
	shm_meter_set_resets(seg, m, epoch, 0);
	SHM_KILLPOINT("meter_load_half");
	meter_touch(seg, m, true, epoch, value);
}

void shm_meter_open(struct shm_segment *seg, uint32_t m, uint64_t identity, uint32_t quantity)
{
	struct shm_meter *meter = meter_at(seg, m);

	assert(claim_of(meter) == identity);
	if (owner_of(meter) == identity)
		return;
	set_quantity(meter, quantity);
	set_place(meter, METER_OPEN);
	set_owner(meter, identity);
}

void shm_meter_retire(struct shm_segment *seg, uint32_t m)
{
	struct shm_meter *meter = meter_at(seg, m);

	assert(claim_of(meter) != 0);
	if (place_of(meter) == METER_PLACED)
		shm_meter_free(seg, m); /* nobody ever found it */
	if (place_of(meter) != METER_OPEN)
		return;
	set_owner(meter, METER_HIDDEN);
	meter_make_stale(seg, m);
	set_place(meter, METER_RETIRED);
}

void shm_meter_free(struct shm_segment *seg, uint32_t m)
{
	struct shm_meter *meter = meter_at(seg, m);

	assert(place_of(meter) != METER_OPEN);
	set_place(meter, METER_PLACED);
	set_quantity(meter, 0);
	set_claim(meter, 0);
	/* Ends of searches, back to the last place that is somebody's: at most all of a chain. */
	for (uint32_t i = 0; i < SHM_METER_PROBES; i++) {
		uint32_t after = (m + 1) & (SHM_METERS - 1);

		if (!page_used(seg, m) || claim_of(meter_at(seg, m)) != 0 ||
		    (page_used(seg, after) && owner_of(meter_at(seg, after)) != 0))
			return;
		set_owner(meter_at(seg, m), 0);
		m = (m - 1) & (SHM_METERS - 1);
	}
}
