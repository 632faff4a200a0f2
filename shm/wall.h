/*
 * The clock of windows: one for all processes of a node, so that they agree on which window it is.
 * The supervisor compares the wall clock with the time since boot once a second and publishes what
 * is to be added to the latter. A wall clock that goes back is followed slowly, so that windows
 * never step back; one that jumps ahead is followed only by windows longer than the jump: the
 * others are frozen until a person accepts the new time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

#define SHM_WALL_FOLLOW_MS 1000 /* a step ahead up to this is an ordinary correction */
#define SHM_WALL_SLEW_MS   50   /* per update, when the wall clock is behind */

struct shm_wall {
	int64_t offset_ns; /* time of windows less time since boot */
	int64_t ahead_ns;  /* how far the wall clock is ahead of that and not believed; 0: it is */
};

/* Supervisor, at the start and about once a second. The first call of a segment takes the wall
 * clock as it is. Returns what is now published. */
struct shm_wall shm_wall_update(struct shm_segment *seg, int64_t now_wall_ns, int64_t now_boot_ns);
/* Supervisor: a person says that the wall clock is right. */
void shm_wall_accept(struct shm_segment *seg, int64_t now_wall_ns, int64_t now_boot_ns);

struct shm_wall shm_wall_read(const struct shm_segment *seg);

/* Milliseconds since 1970 for windows that last length_ms or longer. */
static inline int64_t shm_wall_ms(const struct shm_wall *wall, int64_t now_boot_ns,
				  int64_t length_ms)
{
	int64_t ns = now_boot_ns + wall->offset_ns;

	return (wall->ahead_ns / 1000000 <= length_ms ? ns + wall->ahead_ns : ns) / 1000000;
}

static inline bool shm_wall_frozen(const struct shm_wall *wall, int64_t length_ms)
{
	return wall->ahead_ns / 1000000 > length_ms;
}
