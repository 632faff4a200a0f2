/*
 * Admission. Called by the gate for requests that will cost something. Must never admit what could
 * not be recorded: the room for the row is kept before the provider is called.
 */
#include "proxyd/gate/admit.h"

#include "common/base/clock.h"
#include "proxyd/gate/call.h"
#include "proxyd/gate/call_priv.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/limits.h"
#include "proxyd/gate/route.h"
#include "proxyd/worker.h"

static void admit_refuse(struct exchange *x, const struct limits_refusal *no)
{
	if (!no) {
		gate_refuse(x, 503, "out_of_memory", "no memory for the call");
		return;
	}
	call_aim(x, 0);
	x->retry_after_s = no->retry_after_s;
	x->answer_head = no->lines;
	x->refused_by = no->blame.owner ? &no->blame : NULL;
	gate_refuse(x, no->http_status, no->type, "%s", no->text);
}

bool admit(struct exchange *x)
{
	x->id = bf_uuid7(x->started_wall_ns / 1000000);
	x->first_id = x->id;
	x->record.object_type = (uint8_t)(x->route ? x->route->object : 0);
	/* Before the row is opened, so that it names the key from its first moment. */
	if (!call_prepare(x)) {
		admit_refuse(x, NULL);
		return false;
	}
	switch (call_admit(x->call)) {
	case CALL_ADMITTED:
		return true;
	case CALL_REFUSED:
		admit_refuse(x, x->call->refused);
		break;
	case CALL_WAITS:
		break;
	}
	return false;
}
