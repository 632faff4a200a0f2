/*
 * The clock of windows: the rule, and its publication. The supervisor updates it, everyone reads.
 * Must never let the time of a class step ahead by more than its windows are long unless a person
 * says so, nor back by more than one slew step.
 *
 * Each word stands for itself: a reader takes the clock of one class in one load, so there is
 * nothing to tear, and a supervisor killed half-way through has told some classes a second later
 * than others.
 *
 * A step back reaches the windows as a slower clock: at most half of the time that passed, and at
 * most one slew step, is taken off in an update. So two looks an update apart never go back, and
 * two looks around one update by at most the step; a meter's word keeps the later window then.
 */
#include "shm/wall.h"

#include "shm/killpoint.h"
#include "shm/layout.h"

#define MS INT64_C(1000000)

static int64_t load(const _Atomic int64_t *word)
{
	/* mo: relaxed, a number that publishes nothing but itself */
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic int64_t *word, int64_t v)
{
	/* mo: relaxed, as above */
	atomic_store_explicit(word, v, memory_order_relaxed);
	SHM_KILLPOINT("wall_store");
}

/* What to add to the time since boot, when the wall clock says to add `wall` and `passed` went by
 * since this was last asked. */
static int64_t follow(int64_t offset, int64_t wall, int64_t passed, int64_t follow_ns)
{
	int64_t diff = wall - offset, slew = SHM_WALL_SLEW_MS * MS;

	if (diff > follow_ns)
		return offset;
	if (diff >= 0)
		return wall;
	if (slew > passed / 2)
		slew = passed > 0 ? passed / 2 : 0;
	return diff < -slew ? offset - slew : wall;
}

struct shm_wall shm_wall_read(const struct shm_segment *seg)
{
	const struct shm_wall_words *w = &seg->map->header.wall;
	struct shm_wall wall = {.wall_ns = load(&w->wall_ns)};
	int64_t least = 0;

	for (unsigned c = 0; c < SHM_WALL_CLASSES; c++) {
		int64_t ahead = wall.wall_ns - (wall.offset_ns[c] = load(&w->offset_ns[c]));

		least = ahead < least ? ahead : least;
	}
	if (shm_wall_frozen(&wall, 0))
		wall.ahead_ns = wall.wall_ns - wall.offset_ns[0];
	else if (least < -SHM_WALL_FOLLOW_MS * MS)
		wall.ahead_ns = least;
	return wall;
}

void shm_wall_accept(struct shm_segment *seg, int64_t now_wall_ns, int64_t now_boot_ns)
{
	struct shm_wall_words *w = &seg->map->header.wall;

	store(&w->updated_ns, now_boot_ns);
	store(&w->wall_ns, now_wall_ns - now_boot_ns);
	for (unsigned c = 0; c < SHM_WALL_CLASSES; c++)
		store(&w->offset_ns[c], now_wall_ns - now_boot_ns);
	/* mo: release, after the words: until then the next update takes the wall clock again */
	atomic_store_explicit(&w->set, 1, memory_order_release);
}

struct shm_wall shm_wall_update(struct shm_segment *seg, int64_t now_wall_ns, int64_t now_boot_ns)
{
	struct shm_wall_words *w = &seg->map->header.wall;
	int64_t wall = now_wall_ns - now_boot_ns, passed = now_boot_ns - load(&w->updated_ns);

	/* mo: acquire, pairs with shm_wall_accept() of a supervisor before us */
	if (atomic_load_explicit(&w->set, memory_order_acquire) == 0) {
		shm_wall_accept(seg, now_wall_ns, now_boot_ns);
		return shm_wall_read(seg);
	}
	store(&w->updated_ns, now_boot_ns);
	store(&w->wall_ns, wall);
	/* Each class follows a jump ahead that is as long as its shortest windows. */
	for (unsigned c = 0; c < SHM_WALL_CLASSES; c++)
		store(&w->offset_ns[c],
		      follow(load(&w->offset_ns[c]), wall, passed, shm_wall_class_ms[c] * MS));
	return shm_wall_read(seg);
}
