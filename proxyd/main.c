/*
 * bifrost-proxyd: serves clients. Started by the supervisor, one per worker slot. This file only
 * puts the parts together; it must never hold a rule of its own.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/log/log.h"
#include "common/net/tls_server.h"
#include "common/proc/contract.h"
#include "proxyd/api/api.h"
#include "proxyd/api/openapi.h"
#include "proxyd/control.h"
#include "proxyd/gate/govern.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "shm/slot.h"

#define DESCRIBE_MAX (16u << 20)

static void proxyd_beat(struct bf_child *child)
{
	struct proxyd *d = child->daemon;
	shm_slot_beat(&d->seg, child->proc_slot, bf_mono_ns());
	shm_metric_add(&d->seg, child->proc_slot, SHM_M_LOG_LINES_LOST, bf_log_take_lost());
	shm_metric_set(&d->seg, child->proc_slot, SHM_M_UPSTREAM_CONNECTIONS,
		       (int64_t)provider_net_connections(&d->net));
	if (d->worker.governance)
		govern_beat(&d->worker);
	api_beat(&d->worker);
}

/* As many descriptors as the system allows this process: one per connection. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		bf_log(BF_LOG_WARN, "file_limit", "reason=%s", bf_log_quote(bf_err_text(-errno)));
}

/* So few are for trying things out. */
static int file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX ||
	    limit.rlim_cur < 4 * WORKER_FDS_BEYOND_CLIENTS)
		return 0;
	return (int)limit.rlim_cur;
}

/* The certificate that clients see, if there is one. */
static int proxyd_open_tls(struct proxyd *d, const struct bf_conf_tls *tls, struct bf_err *err)
{
	if (tls->cert.len == 0 && tls->key.len == 0)
		return 0;
	int r = bf_tls_server_new("server.tls", tls->cert, tls->key, &d->tls, err);
	if (r == 0 && bf_tls_server_expires_s(d->tls) < bf_wall_ms() / 1000)
		bf_log(BF_LOG_WARN, "certificate_expired",
		       "key=server.tls.cert hint=\"clients will refuse it: renew it and reload\"");
	return r;
}

static int proxyd_open(struct bf_child *child, struct bf_err *err)
{
	struct proxyd *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return bf_err_sys(err, -ENOMEM, "proxyd");
	child->daemon = d;
	d->child = child;
	raise_file_limit();
	r = shm_segment_attach(child->segment_fd, false, NULL, &d->seg, err);
	if (r < 0)
		return r;
	r = shm_slot_enter(&d->seg, child->proc_slot, (uint32_t)getpid(), bf_wall_ns(),
			   bf_mono_ns());
	if (r < 0)
		return bf_err_sys(err, r, "proxyd: process slot %u", child->proc_slot);
	child->beat = proxyd_beat;
	r = proxyd_open_tls(d, &child->config.server.tls, err);
	if (r < 0)
		return r;
	/* Certificates and the resolver's files: the sandbox opens none. */
	return provider_net_open(&d->net, true, err);
}

/* None until something is in force. */
static int open_providers(struct proxyd *d, struct bf_err *err)
{
	struct worker *w = &d->worker;

	provider_net_start(&d->net, w->loop);
	w->net = &d->net;
	w->providers = provider_set_new(&d->net);
	if (!w->providers || provider_set_finish(w->providers) < 0)
		return bf_err_sys(err, -ENOMEM, "providers");
	return 0;
}

static int proxyd_start(struct bf_child *child, struct bf_err *err)
{
	struct proxyd *d = child->daemon;
	int r;

	shm_health_set(&d->seg, child->proc_slot, SHM_H_SANDBOX_PARTIAL,
		       child->sandbox.landlock_abi == 0);
	worker_init(&d->worker, child->loop, &d->seg, child->proc_slot, &child->config);
	d->worker.index = child->index;
	d->worker.workers = child->workers;
	d->worker.doorbell_fd = child->doorbell_fd;
	d->worker.fd_limit = file_limit();
	d->worker.version = bf_version();
	d->worker.tls = d->tls;
	d->worker.snapshots = &d->snapshots;
	ask_open(&d->asks, &d->worker, &child->channel, child->endpoint);
	r = api_open(&d->worker, err);
	if (r == 0)
		r = open_providers(d, err);
	if (r == 0)
		r = govern_open(&d->worker, err);
	if (r == 0)
		r = front_init(&d->front, &d->worker, err);
	if (r == 0)
		r = listener_init(&d->front.listener, &d->front, BF_FD_LISTEN, child->workers,
				  child->addresses, err);
	if (r < 0)
		return r;
	control_begin(d);
	return BF_CHILD_READY_LATER;
}

/* Requests that still run get their rows here; a worker that is killed instead leaves them to the
 * sweep. */
static void proxyd_stop(struct bf_child *child)
{
	struct proxyd *d = child->daemon;

	control_done(d);
	front_done(&d->front);
	ask_close(&d->asks);
	govern_close(&d->worker);
	api_close(&d->worker);
	bf_snapshot_release(&d->snapshots);
	provider_set_drop(d->worker.providers);
	provider_net_close(&d->net);
	worker_done(&d->worker);
	bf_tls_server_free(d->tls);
}

static const struct bf_sandbox proxyd_sandbox = {
    .groups = BF_SYS_BASE | BF_SYS_CHANNEL | BF_SYS_ACCEPT | BF_SYS_CONNECT | BF_SYS_MEMFD,
    .paths = NULL,
    .tcp_connect = true,
};

static const struct bf_child_spec proxyd_spec = {
    .role = BF_ROLE_PROXYD,
    .sandbox = &proxyd_sandbox,
    .handlers = control_handlers,
    .open = proxyd_open,
    .start = proxyd_start,
    .stop = proxyd_stop,
    .status = control_status,
};

/* --dump-openapi, --describe-api: what the management API is, on standard output. */
static int describe(const char *what)
{
	struct bf_buf out;
	int r;

	bf_buf_init(&out, DESCRIBE_MAX);
	r = strcmp(what, "--dump-openapi") == 0 ? openapi_write(&out, bf_version())
						: openapi_describe(&out);
	if (r == 0 && fwrite(bf_buf_slice(&out).ptr, bf_buf_len(&out), 1, stdout) != 1)
		r = -EIO;
	bf_buf_done(&out);
	return r == 0 && fflush(stdout) == 0 ? BF_EXIT_OK : BF_EXIT_FAILED;
}

int main(int argc, char **argv)
{
	if (argc == 2 &&
	    (strcmp(argv[1], "--dump-openapi") == 0 || strcmp(argv[1], "--describe-api") == 0))
		return describe(argv[1]);
	return bf_child_main(argc, argv, &proxyd_spec);
}
