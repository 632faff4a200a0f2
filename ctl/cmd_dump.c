/*
 * bifrostctl dump: the shared segment as a picture, read from its file, so that a node that is down
 * can be looked at. Must never write into it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "ctl/ctl.h"
#include "ctl/output.h"
#include "shm/dump.h"

#define OUTPUT_BYTES (256u << 20)

static int open_segment(struct ctl *ctl, int *ret_fd)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/segment", ctl->runtime_dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return ctl_fail(ctl, CTL_USAGE, "--runtime-dir: the name is too long");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return ctl_fail(ctl, CTL_NOT_RUNNING,
				"%s: there is none: has bifrost run since the machine started? "
				"start it with systemctl start "
				"bifrost, or give --runtime-dir",
				path);
	if (fd < 0 && errno == EACCES)
		return ctl_fail(ctl, CTL_FAILED,
				"%s: only root and the user of the gateway may read it: try sudo",
				path);
	if (fd < 0)
		return ctl_fail(ctl, CTL_FAILED, "%s: %s", path, bf_err_text(-errno));
	*ret_fd = fd;
	return CTL_OK;
}

int ctl_dump(struct ctl *ctl, struct ctl_args *args)
{
	struct shm_segment segment = {0};
	struct bf_err err = {0};
	struct bf_buf buf;
	int fd = -1;
	int r = ctl_no_more(ctl, args);

	if (r == CTL_OK)
		r = open_segment(ctl, &fd);
	if (r != CTL_OK)
		return r;
	/* Of any boot: looking at it harms nobody. */
	int code = shm_segment_attach(fd, true, NULL, &segment, &err);
	(void)close(fd);
	if (code < 0)
		return ctl_fail(ctl, CTL_FAILED, "%s", err.text);

	bf_buf_init(&buf, OUTPUT_BYTES);
	code = ctl->json ? shm_dump_json(&segment, &buf) : shm_dump_text(&segment, &buf);
	ctl_print_buf(ctl->out, &buf);
	bf_buf_done(&buf);
	shm_segment_detach(&segment);
	return code < 0 ? ctl_fail(ctl, CTL_FAILED, "dump: %s", bf_err_text(code)) : CTL_OK;
}
