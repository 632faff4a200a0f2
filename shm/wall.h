/*
 * The clock of windows: one for all processes of a node, so that they agree on which window it is.
 * The supervisor compares the wall clock with the time since boot once a second and publishes what
 * is to be added to the latter. A wall clock that goes back is followed slowly, so that windows
 * never step back; one that jumps ahead is followed only by windows longer than the jump: the
 * others are frozen: until a person accepts the new time, they go on with the time of before it.
 *
 * What a window believes depends on its length, so there is a clock for each class of lengths;
 * nothing but the rule connects them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

#define SHM_WALL_FOLLOW_MS 1000 /* a step ahead up to this is an ordinary correction */
#define SHM_WALL_SLEW_MS   50   /* the most per update, when the wall clock is behind */
#define SHM_WALL_CLASSES   6

struct shm_wall {
	int64_t offset_ns[SHM_WALL_CLASSES]; /* time of windows less time since boot */
	int64_t wall_ns;  /* the wall clock less time since boot; whether believed or not */
	int64_t ahead_ns; /* how far the wall clock is ahead of the shortest windows, which are
			     frozen; negative: how far it is behind those that are furthest
			     ahead; 0: neither by more than SHM_WALL_FOLLOW_MS */
};

/* Supervisor, at the start and about once a second. The first call of a segment takes the wall
 * clock as it is. Returns what is now published. */
struct shm_wall shm_wall_update(struct shm_segment *seg, int64_t now_wall_ns, int64_t now_boot_ns);
/* Supervisor: a person says that the wall clock is right, ahead or behind. */
void shm_wall_accept(struct shm_segment *seg, int64_t now_wall_ns, int64_t now_boot_ns);

struct shm_wall shm_wall_read(const struct shm_segment *seg);

/* The shortest windows of a class, in milliseconds. */
static const int64_t shm_wall_class_ms[SHM_WALL_CLASSES] = {
    SHM_WALL_FOLLOW_MS, 60000, 3600000, 86400000, INT64_C(604800000), INT64_C(2419200000)};

/* The class of windows that last length_ms or longer. Each follows jumps up to its shortest length:
 * a second, a minute, an hour, a day, a week, four weeks. */
static inline unsigned shm_wall_class(int64_t length_ms)
{
	unsigned c = 0;

	while (c < SHM_WALL_CLASSES - 1 && length_ms >= shm_wall_class_ms[c + 1])
		c++;
	return c;
}

/* Milliseconds since 1970 for windows that last length_ms or longer. */
static inline int64_t shm_wall_ms(const struct shm_wall *wall, int64_t now_boot_ns,
				  int64_t length_ms)
{
	return (now_boot_ns + wall->offset_ns[shm_wall_class(length_ms)]) / 1000000;
}

static inline bool shm_wall_frozen(const struct shm_wall *wall, int64_t length_ms)
{
	return wall->wall_ns - wall->offset_ns[shm_wall_class(length_ms)] >
	       SHM_WALL_FOLLOW_MS * INT64_C(1000000);
}

/* The wall clock was set back, and these windows have not followed it yet. */
static inline bool shm_wall_behind(const struct shm_wall *wall, int64_t length_ms)
{
	return wall->offset_ns[shm_wall_class(length_ms)] - wall->wall_ns >
	       SHM_WALL_FOLLOW_MS * INT64_C(1000000);
}
