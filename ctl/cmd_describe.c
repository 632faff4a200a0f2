/* bifrostctl describe-protocol: the control protocol as Markdown, from which
 * docs/control-protocol.md is made. */
#include "common/base/buf.h"
#include "common/ipc/messages.h"
#include "ctl/ctl.h"
#include "ctl/output.h"

int ctl_describe_protocol(struct ctl *ctl, struct ctl_args *args)
{
	struct bf_buf buf;
	int r = ctl_no_more(ctl, args);

	if (r != CTL_OK)
		return r;
	bf_buf_init(&buf, 1u << 20);
	int code = bf_msg_describe(&buf);
	ctl_print_buf(ctl->out, &buf);
	bf_buf_done(&buf);
	return code < 0 ? ctl_fail(ctl, CTL_FAILED, "describe-protocol: %s", bf_err_text(code))
			: CTL_OK;
}
