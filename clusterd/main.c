/*
 * bifrost-clusterd: this node as a member of its cluster.
 * Started by the supervisor only; must never see a provider key in clear or serve a client.
 */
#include <errno.h>
#include <unistd.h>

#include "clusterd/clusterd.h"
#include "common/base/clock.h"
#include "common/log/log.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "shm/slot.h"

/* The tightest fence there is: no files, no sockets of its own. */
static const struct bf_sandbox sandbox = {.groups = BF_SYS_BASE | BF_SYS_CHANNEL};

static void beat(struct bf_child *child)
{
	struct clusterd *d = child->daemon;

	shm_slot_beat(&d->seg, child->proc_slot, bf_mono_ns());
	shm_metric_add(&d->seg, child->proc_slot, SHM_M_LOG_LINES_LOST, bf_log_take_lost());
}

static int clusterd_open(struct bf_child *child, struct bf_err *err)
{
	static struct clusterd daemon;
	int r;

	if (gethostname(daemon.host, sizeof(daemon.host) - 1) < 0)
		return bf_err_sys(err, -errno, "clusterd: gethostname");
	child->daemon = &daemon;
	r = shm_segment_attach(child->segment_fd, false, NULL, &daemon.seg, err);
	if (r < 0)
		return r;
	r = shm_slot_enter(&daemon.seg, child->proc_slot, (uint32_t)getpid(), bf_wall_ns(),
			   bf_mono_ns());
	if (r < 0)
		return bf_err_set(err, r, "segment: process slot %u is not ours", child->proc_slot);
	child->beat = beat;
	return 0;
}

static int clusterd_start(struct bf_child *child, struct bf_err *err)
{
	struct clusterd *d = child->daemon;

	(void)err;
	shm_health_set(&d->seg, child->proc_slot, SHM_H_SANDBOX_PARTIAL,
		       !child->sandbox.landlock_files);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct bf_child_spec spec = {
	    .role = BF_ROLE_CLUSTERD,
	    .layout_version = SHM_LAYOUT_VERSION,
	    .sandbox = &sandbox,
	    .open = clusterd_open,
	    .start = clusterd_start,
	    .status = clusterd_status,
	};

	return bf_child_main(argc, argv, &spec);
}
