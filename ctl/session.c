/*
 * The conversation with the supervisor. Called by the commands that need a running gateway. Must
 * never trust what it receives: parts of answers come from processes that talk to the network.
 */
#include "ctl/session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/ipc/channel.h"
#include "common/proc/child.h"
#include "ctl/output.h"
#include "shm/segment.h"

#define SUPERVISOR BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0)
#define MYSELF     BF_ENDPOINT(BF_ROLE_CTL, 0) /* the supervisor knows us by another index */

static int not_running(struct ctl *ctl)
{
	return ctl_fail(ctl, CTL_NOT_RUNNING,
			"%s/control.sock: is bifrost running? start it with systemctl start "
			"bifrost, or give --runtime-dir",
			ctl->runtime_dir);
}

/* Who may control the gateway: root, and the owner of its runtime folder. */
static const char *who_may(const struct ctl *ctl, char out[80])
{
	const struct passwd *pw = NULL;
	struct stat st;

	(void)snprintf(out, 80, "root");
	if (stat(ctl->runtime_dir, &st) < 0 || st.st_uid == 0)
		return out;
	pw = getpwuid(st.st_uid);
	if (pw)
		(void)snprintf(out, 80, "root and user %.40s", pw->pw_name);
	else
		(void)snprintf(out, 80, "root and user %u", st.st_uid);
	return out;
}

static int not_permitted(struct ctl *ctl, int code)
{
	char who[80];

	return ctl_fail(
	    ctl, code, "%s/control.sock: not permitted: only %s may control this gateway: try sudo",
	    ctl->runtime_dir, who_may(ctl, who));
}

/* The gateway closed before it said anything: it does not know us, or does not like what we said.
 */
static int turned_away(struct ctl *ctl)
{
	struct stat st;

	if (geteuid() != 0 && stat(ctl->runtime_dir, &st) == 0 && st.st_uid != geteuid())
		return not_permitted(ctl, CTL_REFUSED);
	return ctl_fail(ctl, CTL_REFUSED,
			"the gateway closed the connection at once: is it stopping, or of another "
			"release? see its log");
}

/* Goes through the folder's descriptor, so that a path longer than sun_path works too. -errno. */
static int connect_in(int dir)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/control.sock", dir);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int code = -errno;
		(void)close(fd);
		return code;
	}
	return fd;
}

static int open_socket(struct ctl *ctl)
{
	int dir = open(ctl->runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = dir < 0 ? -errno : connect_in(dir);

	if (dir >= 0)
		(void)close(dir);
	if (fd == -ENOENT || fd == -ECONNREFUSED || fd == -ENOTDIR)
		return not_running(ctl);
	if (fd == -EACCES || fd == -EPERM)
		return not_permitted(ctl, CTL_FAILED);
	if (fd < 0)
		return ctl_fail(ctl, CTL_FAILED, "%s/control.sock: %s", ctl->runtime_dir,
				bf_err_text(fd));
	ctl->fd = fd;
	return CTL_OK;
}

/* Warnings of the gateway that precede its OK. */
static int on_hello_part(struct ctl *ctl, const struct bf_frame *f, void *user BF_UNUSED)
{
	struct bf_msg_diag diag;
	int r = ctl_decode(ctl, f, &diag);

	if (r != CTL_OK)
		return r;
	(void)fputs("bifrostctl: warning: ", ctl->err);
	ctl_print_text(ctl->err, diag.text);
	(void)fputc('\n', ctl->err);
	return CTL_OK;
}

int ctl_connect(struct ctl *ctl)
{
	struct bf_msg_hello hello = {
	    .protocol = BF_FRAME_VERSION,
	    .build_id = bf_slice_from(bf_build_id()),
	    .layout_version = SHM_LAYOUT_VERSION,
	};
	int r = open_socket(ctl);

	if (r != CTL_OK)
		return r;
	return ctl_call(ctl, BF_MSG_HELLO, &hello, CTL_QUICK_MS, BF_MSG_DIAG, on_hello_part, NULL);
}

uint32_t ctl_new_request(struct ctl *ctl)
{
	return ++ctl->next_request;
}

int ctl_send(struct ctl *ctl, uint16_t type, uint16_t target, uint32_t request, uint8_t flags,
	     const void *message)
{
	struct bf_err err = {0};
	struct bf_buf body;

	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	int r = flags & BF_FRAME_CANCEL ? 0 : bf_msg_encode(type, message, &body);
	if (r == 0) {
		struct bf_frame f = {
		    .flags = flags,
		    .type = type,
		    .source = MYSELF,
		    .target = target,
		    .request = request,
		    .body = bf_buf_slice(&body),
		    .fd = -1,
		};
		r = bf_frame_send_blocking(ctl->fd, &f, &err);
	} else {
		(void)bf_err_sys(&err, r, "request");
	}
	bf_buf_done(&body);
	return r < 0 ? ctl_receive_failed(ctl, r, &err) : CTL_OK;
}

int ctl_receive(struct ctl *ctl, int64_t timeout_ms, struct bf_frame *ret_frame, struct bf_err *err)
{
	int r = bf_frame_recv_blocking(ctl->fd, ctl->frame, timeout_ms, ret_frame, err);

	if (r < 0)
		return r;
	/* No message to us carries one. */
	if (ret_frame->fd >= 0)
		(void)close(ret_frame->fd);
	ret_frame->fd = -1;
	return bf_msg_permitted(ret_frame, err);
}

int ctl_receive_failed(struct ctl *ctl, int code, const struct bf_err *err)
{
	if (code == BF_E_CLOSED && ctl->next_request <= 1)
		return turned_away(ctl);
	if (code == BF_E_CLOSED)
		return ctl_fail(ctl, CTL_NOT_RUNNING,
				"the gateway closed the connection: has it stopped? see its log");
	if (code == BF_E_TIMEOUT)
		return ctl_fail(ctl, CTL_FAILED,
				"the gateway does not answer: see its log (journalctl -u bifrost)");
	return ctl_fail(ctl, CTL_FAILED, "%s", err->text);
}

int ctl_decode(struct ctl *ctl, const struct bf_frame *f, void *ret_message)
{
	struct bf_err err = {0};
	int r = bf_msg_decode(f->type, f->body, ret_message, &ctl->arena, &err);
	return r < 0 ? ctl_fail(ctl, CTL_FAILED, "the answer cannot be read: %s", err.text)
		     : CTL_OK;
}

int ctl_refused(struct ctl *ctl, const struct bf_frame *f)
{
	struct bf_msg_error error;
	int r = ctl_decode(ctl, f, &error);

	if (r != CTL_OK)
		return r;
	(void)fputs("bifrostctl: refused: ", ctl->err);
	ctl_print_text(ctl->err, error.text);
	(void)fputc('\n', ctl->err);
	return CTL_REFUSED;
}

/* The supervisor took the question: it is its child that is silent. */
static int nobody_answers(struct ctl *ctl, uint16_t target)
{
	char name[24];

	return ctl_fail(ctl, CTL_FAILED,
			"%s does not answer: see the log (journalctl -u bifrost) and bifrostctl "
			"status",
			bf_endpoint_format(target, name));
}

/* The supervisor gives up on a child before we do. */
static int take_error(struct ctl *ctl, uint16_t target, const struct bf_frame *f)
{
	struct bf_msg_error error;
	int r = ctl_decode(ctl, f, &error);

	if (r != CTL_OK)
		return r;
	return target != SUPERVISOR && error.code == BF_E_TIMEOUT ? nobody_answers(ctl, target)
								  : ctl_refused(ctl, f);
}

/* Handles one part; *ret_last tells whether it was the last. */
static int take_part(struct ctl *ctl, uint16_t target, const struct bf_frame *f, uint16_t part_type,
		     ctl_on_part *on_part, void *user, bool *ret_last)
{
	*ret_last = !(f->flags & BF_FRAME_MORE);
	if (f->type == BF_MSG_ERROR)
		return take_error(ctl, target, f);
	if (f->type == BF_MSG_OK)
		return CTL_OK;
	if (part_type != BF_MSG_NONE && f->type == part_type)
		return on_part(ctl, f, user);
	return ctl_fail(ctl, CTL_FAILED,
			"the gateway answers with \"%s\", which does not belong here",
			bf_msg_def(f->type)->name);
}

int ctl_call_to(struct ctl *ctl, uint16_t target, uint16_t type, const void *message,
		int64_t timeout_ms, uint16_t part_type, ctl_on_part *on_part, void *user)
{
	int64_t deadline = bf_mono_ms() + timeout_ms;
	uint32_t request = ctl_new_request(ctl);
	bool last = false;
	int r = ctl_send(ctl, type, target, request, 0, message);

	while (r == CTL_OK && !last) {
		struct bf_err err = {0};
		struct bf_frame f;
		int64_t left = deadline - bf_mono_ms();
		int code = ctl_receive(ctl, left > 0 ? left : 0, &f, &err);
		if (code == BF_E_TIMEOUT && target != SUPERVISOR)
			return nobody_answers(ctl, target);
		if (code < 0)
			return ctl_receive_failed(ctl, code, &err);
		if (f.request == request)
			r = take_part(ctl, target, &f, part_type, on_part, user, &last);
	}
	return r;
}

int ctl_call(struct ctl *ctl, uint16_t type, const void *message, int64_t timeout_ms,
	     uint16_t part_type, ctl_on_part *on_part, void *user)
{
	return ctl_call_to(ctl, SUPERVISOR, type, message, timeout_ms, part_type, on_part, user);
}
