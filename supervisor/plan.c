/*
 * The table of children. Read by everything that starts, stops or names them; a new role is one row
 * here. Holds no state and never grows behaviour.
 */
#include "supervisor/plan.h"

#include <sched.h>

#include "common/base/macros.h"
#include "common/schema/field.h"

/* In the order of starting: the writer first, because it frees the slots of the dead. */
const struct plan_row plan_rows[] = {
    {
	.role = BF_ROLE_WRITERD,
	.binary = "bifrost-writerd",
	.audience = BF_FOR_WRITERD,
	.stop_order = 2,
	/* It writes every waiting row before it leaves. */
	.stop_timeout_ms = 30000,
    },
    {
	.role = BF_ROLE_CLUSTERD,
	.binary = "bifrost-clusterd",
	.audience = BF_FOR_CLUSTERD,
	.stop_order = 1,
	.stop_timeout_ms = 5000,
    },
    {
	.role = BF_ROLE_DISCOVERYD,
	.binary = "bifrost-discoveryd",
	.audience = BF_FOR_DISCOVERYD,
	.stop_order = 1,
	.stop_timeout_ms = 5000,
    },
    {
	/* Questions of clients about rows; nobody else needs it, so it may live twice. */
	.role = BF_ROLE_READER,
	.binary = "bifrost-writerd",
	.argument = "--role=reader",
	.audience = BF_FOR_WRITERD,
	.may_overlap = true,
	.takes_snapshots = true,
	.stop_order = 1,
	.stop_timeout_ms = 7000, /* a question may take five seconds */
    },
    {
	.role = BF_ROLE_PROXYD,
	.binary = "bifrost-proxyd",
	.audience = BF_FOR_PROXYD,
	.per_worker = true,
	.has_rings = true,
	.may_overlap = true,
	.takes_snapshots = true,
	.has_listeners = true,
	.stop_order = 0,
	.stop_timeout_ms = 5000,
    },
};
const size_t plan_row_count = BF_ARRAY_LEN(plan_rows);

const struct plan_row *plan_of(enum bf_role role)
{
	for (size_t i = 0; i < plan_row_count; i++) {
		if (plan_rows[i].role == role)
			return &plan_rows[i];
	}
	return NULL;
}

uint32_t plan_workers(uint64_t configured, uint32_t limit)
{
	cpu_set_t cores;
	uint64_t workers = configured;

	if (workers == 0) {
		CPU_ZERO(&cores);
		workers = sched_getaffinity(0, sizeof(cores), &cores) == 0
			      ? (uint64_t)CPU_COUNT(&cores)
			      : 1;
	}
	if (workers == 0)
		workers = 1;
	return workers > limit ? limit : (uint32_t)workers;
}
