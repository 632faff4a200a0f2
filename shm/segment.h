/*
 * The shared segment: a file in the runtime folder that all processes map. Offsets, never pointers;
 * no locks. Created and re-attached by the supervisor; children get the descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define SHM_LAYOUT_VERSION 5u
#define SHM_PROC_SLOTS     64u /* identities that may be held at once */

struct shm_layout; /* shm/layout.h: only shm/ looks inside */

struct shm_segment {
	struct shm_layout *map;
	size_t size_bytes;
	bool read_only;
};

/*
 * Creates the segment in the empty file fd (sized, sparse). boot_id is the kernel's boot id. 0 or
 * -errno (ENOSPC: the folder is too small for a single worker), or BF_E_STATE when the file is not
 * empty.
 */
int shm_segment_create(int fd, const uint8_t boot_id[16], struct bf_err *err);

/*
 * Checks magic, layout version, size and boot id (NULL: not checked), then structure by structure,
 * and maps. 0, or BF_E_VERSION (older or foreign layout), BF_E_STATE (another boot), BF_E_CORRUPT,
 * -errno: err says what to do.
 */
int shm_segment_attach(int fd, bool read_only, const uint8_t *boot_id, struct shm_segment *ret_seg,
		       struct bf_err *err);
void shm_segment_detach(struct shm_segment *seg);

/* Bytes of the file, sparse; and the most that can be touched: printed at start. */
size_t shm_segment_size(void);
size_t shm_segment_worst_case(uint32_t workers);

/*
 * Supervisor, at start: 0, or -ENOSPC when the folder of fd could not hold the worst case of so
 * many workers. A full tmpfs kills who touches a new page, so this is worth refusing or at least
 * warning about.
 */
int shm_segment_check_room(int fd, uint32_t workers, struct bf_err *err);

/* 16 random bytes of this segment: key of the hashes that stand in it, the same for all
 * processes. */
const uint8_t *shm_segment_secret(const struct shm_segment *seg);

/* Node-wide words. Written by the supervisor alone. */
void shm_set_generation(struct shm_segment *seg, uint64_t generation);
uint64_t shm_generation(const struct shm_segment *seg);
void shm_set_draining(struct shm_segment *seg, bool on);
bool shm_draining(const struct shm_segment *seg);

/* Consistency of every structure; 0 or BF_E_CORRUPT with the first thing that is wrong. Live
 * writers are tolerated. */
int shm_segment_valid(const struct shm_segment *seg, struct bf_err *err);
