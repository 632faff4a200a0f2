/*
 * Meters: exact limits that no crash can bend. A meter limits one quantity (nano-dollars, tokens,
 * requests, requests at once) of one owner. Workers reserve before they spend, all meters of a
 * request or none, and settle with what was really used; each step is one 128-bit compare-and-swap
 * whose fate is decidable after a kill. The protocol, its proof and its model are described in
 * shm/meter.c and tests/model/meter.pml.
 *
 * Identity: operations are made by the holder of a process slot, and by writerd for a dead one.
 * Windows are told by epochs, 24 bits of the window's index (common/base/window.h); an endless one
 * is 0. A settlement that comes after the turn is dropped here and lives in its row alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

#define SHM_METERS             (1u << 20)
#define SHM_METERS_PER_REQUEST 40u
#define SHM_METER_AMOUNT_MAX   (INT64_C(1) << 44) /* of one reservation or settlement */
#define SHM_METER_LIMIT_MAX    (INT64_C(1) << 61)
#define SHM_METER_TRIES        64u /* swaps lost before an admission gives up for this turn */

/* One meter of a request, as its configuration was looked up. */
struct shm_meter_want {
	uint32_t meter;
	uint32_t config; /* shm_meter_config() when the key was resolved */
	uint32_t epoch;  /* of the window now */
	int64_t amount;  /* 0 .. SHM_METER_AMOUNT_MAX */
	/* The caller knows that the limit is no more than most, though the meter may still say so:
	 * it was raised for a time that is over. */
	bool lowered;
	int64_t most;
};

enum shm_meter_verdict {
	SHM_METER_OK,
	SHM_METER_REFUSED, /* no room: ret_which says in which of the wants */
	SHM_METER_STALE,   /* the meter's configuration is another one now: look the key up again */
	SHM_METER_BUSY,    /* too many others moved the word: try again in the next turn */
};

/* The holder's end of an identity; process lifetime. */
#define SHM_METER_AHEAD_SEEN 16u

struct shm_meter_writer {
	struct shm_segment *seg;
	uint32_t p;
	uint64_t seq; /* number of the next operation */
	/* Words that were far ahead of the caller's clock when it last asked. */
	struct {
		uint32_t meter;
		uint64_t hi;
	} ahead[SHM_METER_AHEAD_SEEN];
};

/*
 * Takes over identity p: finishes the operation and the closing that a dead holder left half done,
 * then counts on from its numbers. Holder of p, once; the sweep of entries does it by itself.
 */
void shm_meter_enter(struct shm_meter_writer *w, struct shm_segment *seg, uint32_t p);

/*
 * Reserves all wants in their order, or nothing. entry is a free entry of the in-flight table: it
 * carries the reservation until shm_meter_close. *ret_which is the want that was refused. The clock
 * behind the epochs is read anew before each call: a word that is more than 16 windows ahead of it
 * is BUSY the first time, as the caller may have slept since, and turned back the next time if
 * nobody moved it.
 */
enum shm_meter_verdict shm_meter_admit(struct shm_meter_writer *w, int entry,
				       const struct shm_meter_want *wants, unsigned n,
				       unsigned *ret_which);
/* In mid-stream: more of each want, all or nothing. more[i] >= 0. most[i]: the limit is no more
 * than that, whatever the meter says; NULL: as the meters say. */
enum shm_meter_verdict shm_meter_extend(struct shm_meter_writer *w, int entry, const int64_t *more,
					const int64_t *most, unsigned *ret_which);
/*
 * Says what a request really used, in two steps so that its row can be written in between: closing
 * stores it in the entry, from where a sweep would take it for row and meters alike; close applies
 * it. actual[i] >= 0, also more than was reserved. A window that has turned meanwhile keeps what it
 * has. To give everything back: all zero.
 */
void shm_meter_closing(struct shm_meter_writer *w, int entry, const int64_t *actual);
void shm_meter_close(struct shm_meter_writer *w, int entry);

/*
 * Would they be admitted now? Reads only: most refusals end here, without an entry and without
 * disturbing others. ret_room[k], unless NULL: what is left in want k's window; below 0 by what was
 * used beyond its limit.
 */
enum shm_meter_verdict shm_meter_look(const struct shm_segment *seg,
				      const struct shm_meter_want *wants, unsigned n,
				      unsigned *ret_which, int64_t *ret_room);
/* The limit as it is configured now. */
int64_t shm_meter_limit(const struct shm_segment *seg, uint32_t m);

enum shm_meter_state {
	SHM_METER_NONE,    /* nothing reserved */
	SHM_METER_HELD,    /* reserved */
	SHM_METER_CLOSING, /* what was used stands in the entry */
	SHM_METER_SETTLED, /* and in the meters */
};

/* Of an entry, after shm_meter_enter: its state, and what each meter was charged or,
 * while HELD, what it holds. Returns how many meters it has. */
unsigned shm_meter_charges(const struct shm_meter_writer *w, int entry,
			   enum shm_meter_state *ret_state,
			   int64_t charged[SHM_METERS_PER_REQUEST]);
/* Which meters they are, and in which windows: for its row. */
unsigned shm_meter_names(const struct shm_meter_writer *w, int entry,
			 uint32_t meters[SHM_METERS_PER_REQUEST],
			 uint32_t epochs[SHM_METERS_PER_REQUEST]);

/* ---- whose meter it is (meter_directory.c). Identities come from common/govern/plan.h and are
 * never 0 or 1; writerd alone places them. The maker of a plan does, for each of its limits: place;
 * load what is known, if it is new; configure, unless it is configured so; open. Killed at any step
 * it is begun again. */

#define SHM_METER_NOWHERE    UINT32_MAX
#define SHM_METER_PROBES     64u /* places that an identity may have */
#define SHM_METER_CONCURRENT 3u  /* enum bf_quantity: given back whole, also after a death */
#define SHM_METER_REQUESTS   1u
#define SHM_METER_TOKENS     2u
#define SHM_METER_NUSD       4u

/* The meter of an identity, SHM_METER_NOWHERE while writerd has not opened it. Any process. */
uint32_t shm_meter_find(const struct shm_segment *seg, uint64_t identity);
/*
 * The same with the configuration that wants must name: surely this identity's, so whatever
 * happens to the place afterwards makes them stale. Workers use this one.
 */
uint32_t shm_meter_resolve(const struct shm_segment *seg, uint64_t identity, uint32_t *ret_config);
/* Whose place it is, from place to free; 0: nobody's. */
uint64_t shm_meter_identity(const struct shm_segment *seg, uint32_t m);
/* enum bf_quantity, for the fold of rows; 0: nobody's, or never opened. */
uint32_t shm_meter_quantity(const struct shm_segment *seg, uint32_t m);
/* The next place that is somebody's, at or after from; SHM_METER_NOWHERE: none. Any process; cheap
 * where nothing ever was. */
uint32_t shm_meter_next(const struct shm_segment *seg, uint32_t from);
/*
 * writerd: the place of an identity, its own or a free one near where it belongs. *ret_new: it was
 * never opened, so its window and its limit are not known yet; else it stands with both, though
 * perhaps retired. 0; BF_E_FULL: its places are taken; -ENOMEM: no memory behind them.
 */
int shm_meter_place(struct shm_segment *seg, uint64_t identity, uint32_t *ret_m, bool *ret_new);
/*
 * New window with this value: what the store knows was used in it. Only before open. The window is
 * the one of now or, after a clock that stepped back, the latest that the store knows of, up to
 * METER_AHEAD (16) further: it goes on.
 */
void shm_meter_load(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t value);
/* Others find it from here on, a retired one again. Nothing happens to an open one. */
void shm_meter_open(struct shm_segment *seg, uint32_t m, uint64_t identity, uint32_t quantity);
/* Nobody finds it any more and every want of it is stale. Its place is used again once no entry in
 * flight and no waiting record names it: shm_meter_collect() or, by who knows that, free. */
void shm_meter_retire(struct shm_segment *seg, uint32_t m);
void shm_meter_free(struct shm_segment *seg, uint32_t m);
/* Frees the retired meters that nobody names, at most SHM_METER_COLLECT of them in a call; how many
 * are left. Looks through all entries and records: now and then, not in every turn. */
#define SHM_METER_COLLECT 256u
unsigned shm_meter_collect(struct shm_segment *seg);

/* ---- configuration; one process at a time (writerd) */

/*
 * Sets limit and kind of a meter and touches its word, so that no decision on the old ones can
 * succeed afterwards. epoch: where a new window begins when restart is set (another owner, another
 * period): the first that this place never had, see shm_meter_next_epoch. Returns the version that
 * wants must name.
 */
uint32_t shm_meter_configure(struct shm_segment *seg, uint32_t m, int64_t limit, bool granted,
			     bool restart, uint32_t epoch);
/* Whether it is already so, and whole: a writerd may have died in the middle of it. */
bool shm_meter_configured(const struct shm_segment *seg, uint32_t m, int64_t limit, bool granted);
uint32_t shm_meter_config(const struct shm_segment *seg, uint32_t m);
uint32_t shm_meter_next_epoch(const struct shm_segment *seg, uint32_t m);
/*
 * writerd, about once a day for every meter with its epoch of now: epochs come round after 2^24
 * windows, so a word that nobody moved for half of that is turned. Whether it was.
 */
bool shm_meter_janitor(struct shm_segment *seg, uint32_t m, uint32_t epoch);
/* Single writers; version counts up. Each touches nothing: the next admission sees it. */
void shm_meter_set_remote(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum);
void shm_meter_set_allowance(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum);
void shm_meter_set_settled(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum);
/*
 * writerd: what rows charged in a window that the meter itself never counted, because their workers
 * did not know it, less what it counted and somebody forgave: from -SHM_METER_LIMIT_MAX on. Bounds
 * what is left as the meter's own value does. A whole sum, not what comes on top: said again after
 * a death it changes nothing.
 */
void shm_meter_set_missed(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum);
/* writerd, last: how often the usage of a window was reset, in what is settled and missed. */
#define SHM_METER_RESETS_MAX ((UINT64_C(1) << 40) - 1)
void shm_meter_set_resets(struct shm_segment *seg, uint32_t m, uint32_t epoch, uint64_t count);

struct shm_meter_info {
	uint32_t epoch; /* of the word */
	int64_t value;  /* settled + reserved in it */
	int64_t limit;
	uint32_t settled_epoch;
	int64_t settled;
	uint32_t missed_epoch;
	int64_t missed;
	uint32_t resets_epoch;
	uint64_t resets;
};

/* What a meter counts in a window: what it holds, what was settled, what it missed. */
static inline int64_t shm_meter_counted(const struct shm_meter_info *info, uint32_t epoch)
{
	return (info->epoch == epoch ? info->value : 0) +
	       (info->missed_epoch == epoch ? info->missed : 0);
}

/* false: it moved while it was read, every one of a few times. */
bool shm_meter_read(const struct shm_segment *seg, uint32_t m, struct shm_meter_info *ret_info);
