/*
 * Would these wants be admitted now? Called by workers before they begin anything for a request,
 * and for what is shown beside an answer. Must never write.
 */
#include "shm/meter_op.h"

#define LOOK_TRIES 16u

static enum meter_result look_once(const struct shm_meter *meter, const struct shm_meter_want *want,
				   int64_t *ret_room)
{
	enum meter_result r;
	struct shm_pair word;
	uint32_t epoch;

	if (!shm_load128_whole(&meter->word, &word))
		return METER_OP_BUSY;
	epoch = meter_epoch_later(meter_hi_epoch(word.hi), want->epoch);
	r = meter_room(meter, want->config, meter_most(want), epoch, ret_room);
	if (r != METER_OP_DONE)
		return r;
	if (epoch == meter_hi_epoch(word.hi))
		*ret_room -= (int64_t)word.lo;
	if (want->amount <= *ret_room)
		return METER_OP_DONE;
	/* mo: acquire: a no is right only if the word is still the one it was decided on */
	return atomic_load_explicit(&meter->word.hi, memory_order_acquire) == word.hi
		   ? METER_OP_REFUSED
		   : METER_OP_BUSY;
}

static enum shm_meter_verdict look(const struct shm_meter *meter, const struct shm_meter_want *want,
				   int64_t *ret_room)
{
	for (unsigned tries = 0; tries < LOOK_TRIES; tries++) {
		*ret_room = 0;
		switch (look_once(meter, want, ret_room)) {
		case METER_OP_BUSY:
		case METER_OP_AHEAD: /* of a reservation only */
			break;
		case METER_OP_STALE:
			return SHM_METER_STALE;
		case METER_OP_REFUSED:
			return SHM_METER_REFUSED;
		case METER_OP_DONE:
		case METER_OP_DROPPED:
			return SHM_METER_OK;
		}
	}
	return SHM_METER_BUSY;
}

int64_t shm_meter_limit(const struct shm_segment *seg, uint32_t m)
{
	/* mo: acquire, a number for people; who decides on it names its version */
	return atomic_load_explicit(&meter_at(seg, m)->limit, memory_order_acquire);
}

enum shm_meter_verdict shm_meter_look(const struct shm_segment *seg,
				      const struct shm_meter_want *wants, unsigned n,
				      unsigned *ret_which, int64_t *ret_room)
{
	enum shm_meter_verdict verdict = SHM_METER_OK;

	for (unsigned k = 0; k < n; k++) {
		int64_t left = 0;
		enum shm_meter_verdict v = look(meter_at(seg, wants[k].meter), &wants[k], &left);

		if (ret_room)
			ret_room[k] = left;
		if (v == SHM_METER_OK || verdict != SHM_METER_OK)
			continue;
		verdict = v;
		*ret_which = k;
		if (!ret_room)
			break;
	}
	return verdict;
}
