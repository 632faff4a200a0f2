/*
 * bifrostctl restart, reload, drain: one request to the supervisor each. Must never report success
 * before the supervisor did.
 */
#include "common/codec/json_writer.h"
#include "ctl/output.h"
#include "ctl/session.h"

#define OUTPUT_BYTES (8u << 20)

/* The whole answer for machines of a command that has nothing else to tell. */
static int say_done(struct ctl *ctl, const char *text)
{
	(void)fprintf(ctl->out, "%s\n", ctl->json ? "{\"ok\":true}" : text);
	return CTL_OK;
}

int ctl_restart(struct ctl *ctl, struct ctl_args *args)
{
	const char *name = ctl_args_operand(args);
	struct bf_msg_restart restart = {.name = bf_slice_from(name)};
	uint16_t endpoint = 0;
	int r = ctl_no_more(ctl, args);

	if (r != CTL_OK)
		return r;
	if (!name)
		return ctl_fail(ctl, CTL_USAGE,
				"restart needs the NAME of a process: see bifrostctl status");
	if (bf_endpoint_parse(restart.name, &endpoint) < 0)
		return ctl_fail(ctl, CTL_USAGE,
				"no process is called \"%s\": names are writerd, clusterd, "
				"discoveryd, and with the number of "
				"the worker proxyd.0, proxyd.1, ...",
				name);
	r = ctl_connect(ctl);
	if (r == CTL_OK)
		r = ctl_call(ctl, BF_MSG_RESTART, &restart, CTL_LONG_MS, BF_MSG_NONE, NULL, NULL);
	return r == CTL_OK ? say_done(ctl, "ok") : r;
}

int ctl_drain(struct ctl *ctl, struct ctl_args *args)
{
	struct bf_msg_node_drain drain = {.on = !ctl_args_flag(args, "--off")};
	int r = ctl_no_more(ctl, args);

	if (r == CTL_OK)
		r = ctl_connect(ctl);
	if (r == CTL_OK)
		r = ctl_call(ctl, BF_MSG_NODE_DRAIN, &drain, CTL_QUICK_MS, BF_MSG_NONE, NULL, NULL);
	if (r != CTL_OK)
		return r;
	return say_done(ctl, drain.on ? "the node drains: take it back with bifrostctl drain --off"
				      : "the node takes work again");
}

struct diagnostics {
	struct bf_json_writer json;
	bool refused;
};

static int on_diag(struct ctl *ctl, const struct bf_frame *f, void *user)
{
	struct diagnostics *d = user;
	struct bf_msg_diag diag;
	int r = ctl_decode(ctl, f, &diag);

	if (r != CTL_OK)
		return r;
	d->refused |= diag.is_error;
	if (ctl->json) {
		bf_table_write_json(bf_msg_def(BF_MSG_DIAG)->body, &diag, &d->json);
		return CTL_OK;
	}
	ctl_print_text(ctl->out, diag.text);
	(void)fputc('\n', ctl->out);
	return CTL_OK;
}

static int reload_json(struct ctl *ctl, struct diagnostics *d, struct bf_buf *buf, int code)
{
	bf_jw_end_array(&d->json);
	bf_jw_key(&d->json, "ok");
	bf_jw_bool(&d->json, code == CTL_OK);
	bf_jw_end_object(&d->json);
	int r = bf_jw_finish(&d->json);
	if (r == 0)
		r = bf_buf_append(buf, "\n", 1);
	ctl_print_buf(ctl->out, buf);
	return r < 0 ? ctl_fail(ctl, CTL_FAILED, "reload: %s", bf_err_text(r)) : code;
}

int ctl_reload(struct ctl *ctl, struct ctl_args *args)
{
	struct diagnostics d = {.refused = false};
	struct bf_buf buf;
	int r = ctl_no_more(ctl, args);

	if (r == CTL_OK)
		r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;

	bf_buf_init(&buf, OUTPUT_BYTES);
	bf_jw_init(&d.json, &buf);
	bf_jw_object(&d.json);
	bf_jw_key(&d.json, "diagnostics");
	bf_jw_array(&d.json);
	r = ctl_call(ctl, BF_MSG_RELOAD, NULL, CTL_LONG_MS, BF_MSG_DIAG, on_diag, &d);
	if (r == CTL_OK && d.refused)
		r = CTL_REFUSED;
	if (ctl->json && (r == CTL_OK || r == CTL_REFUSED))
		r = reload_json(ctl, &d, &buf, r);
	bf_buf_done(&buf);
	if (r == CTL_OK && !ctl->json)
		(void)fputs("the configuration is in use\n", ctl->out);
	return r;
}
