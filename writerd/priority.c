/*
 * Rows can wait, requests can not: where a core is shared, waking up to write must not interrupt a
 * worker in the middle of a turn. Called by writerd and by the reader at their start. Must never
 * take so little that rows fall behind: it gives up the right to interrupt, and some of its share.
 */
#include "writerd/priority.h"

#include <sched.h>
#include <sys/resource.h>

#include "common/log/log.h"

#define PRIORITY_NICE 5 /* a third of the share of a process of nice 0 */

void priority_lower(void)
{
	const struct sched_param param = {0};

	if (sched_setscheduler(0, SCHED_BATCH, &param) < 0 ||
	    setpriority(PRIO_PROCESS, 0, PRIORITY_NICE) < 0)
		bf_log(BF_LOG_INFO, "priority", "lowered=no");
}
