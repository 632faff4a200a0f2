/*
 * Who holds which process slot. Used around fork and waitpid (child.c, crew.c) and at start. Must
 * never declare dead what waitpid, or the runtime folder's lock, has not proved dead.
 */
#include "supervisor/identity.h"

#include <unistd.h>

#include "common/base/clock.h"

uint32_t identity_count(const struct shm_segment *seg, enum shm_slot_state state)
{
	uint32_t n = 0;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		struct shm_slot_info info;

		shm_slot_info(seg, p, &info);
		n += info.state == state;
	}
	return n;
}

int identity_assign(struct shm_segment *seg, const struct plan_row *row, uint32_t index)
{
	if (row->has_rings && identity_count(seg, SHM_SLOT_FREE) <= IDENTITY_RESERVE)
		return -1;
	return shm_slot_assign(seg, (uint16_t)row->role, index);
}

void identity_dead(struct shm_segment *seg, uint32_t slot, const struct plan_row *row)
{
	shm_slot_dead(seg, slot);
	/* row is NULL for a supervisor: it has no rings either. */
	if (!row || !row->has_rings)
		(void)shm_slot_free(seg, slot);
}

uint32_t identity_recover(struct shm_segment *seg)
{
	uint32_t waiting = 0;

	shm_slot_all_dead(seg);
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		struct shm_slot_info info;
		const struct plan_row *row;

		shm_slot_info(seg, p, &info);
		row = plan_of((enum bf_role)info.role);
		if (info.state == SHM_SLOT_DEAD && (!row || !row->has_rings))
			(void)shm_slot_free(seg, p);
		shm_slot_info(seg, p, &info);
		waiting += info.state == SHM_SLOT_DEAD;
	}
	return waiting;
}

int identity_own(struct shm_segment *seg)
{
	int slot = shm_slot_assign(seg, BF_ROLE_SUPERVISOR, 0);
	uint32_t pid = (uint32_t)getpid();

	if (slot < 0)
		return -1;
	shm_slot_set_pid(seg, (uint32_t)slot, pid);
	if (shm_slot_enter(seg, (uint32_t)slot, pid, bf_wall_ns(), bf_mono_ns()) < 0)
		return -1;
	return slot;
}
