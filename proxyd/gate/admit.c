/*
 * Admission. Called by the gate for requests that will cost something. Must never admit what could
 * not be recorded: the room for the row is kept before the provider is called.
 */
#include "proxyd/gate/admit.h"

#include "common/base/clock.h"
#include "proxyd/gate/call.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/route.h"
#include "proxyd/record/record.h"
#include "proxyd/worker.h"

bool admit(struct exchange *x)
{
	struct worker *w = x->worker;

	x->id = bf_uuid7(x->started_wall_ns / 1000000);
	x->first_id = x->id;
	x->record.object_type = (uint8_t)(x->route ? x->route->object : 0);
	/* Before the row is opened, so that it names the key from its first moment. */
	if (!call_prepare(x)) {
		gate_refuse(x, 503, "out_of_memory", "no memory for the call");
		return false;
	}
	if (record_open(x))
		return true;
	worker_count(w, SHM_M_ADMIT_REFUSED_FULL);
	x->retry_after_s = ADMIT_RETRY_AFTER_S;
	gate_refuse(x, 503, "overloaded",
		    "too many requests in flight or rows waiting to be written; try again");
	return false;
}
