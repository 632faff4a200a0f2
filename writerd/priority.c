/*
 * Rows can wait, requests can not: where a core is shared, waking up to write must not interrupt a
 * worker in the middle of a turn. Called by writerd and by the reader at their start. Must never
 * take so little that rows fall behind: it gives up the right to interrupt, and some of its share.
 */
#include "writerd/priority.h"

#include <sched.h>
#include <sys/resource.h>

#include "common/base/macros.h"
#include "common/log/log.h"

#define PRIORITY_NICE  5 /* beyond what all of us have: a third of a worker's share */
#define PRIORITY_LEAST 19

void priority_lower(void)
{
	const struct sched_param param = {0};
	int given = getpriority(PRIO_PROCESS, 0);

	if (sched_setscheduler(0, SCHED_BATCH, &param) < 0 ||
	    setpriority(PRIO_PROCESS, 0, BF_MIN(given + PRIORITY_NICE, PRIORITY_LEAST)) < 0)
		bf_log(BF_LOG_INFO, "priority", "lowered=no");
}
