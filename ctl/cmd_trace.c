/*
 * bifrostctl trace: the frames that pass the supervisor, until interrupted. Must never leave the
 * trace running: CANCEL is sent at the end, and the supervisor ends it anyway when the connection
 * closes.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "common/base/num.h"
#include "ctl/output.h"
#include "ctl/session.h"
#include "ctl/trace_line.h"

#define LINE_BYTES (1u << 20)
#define LOOK_MS    200 /* how long an interrupt may wait */

static volatile sig_atomic_t interrupted;

static void on_signal(int signo BF_UNUSED)
{
	interrupted = 1;
}

static int parse_count(struct ctl *ctl, struct ctl_args *args, uint64_t *ret_count)
{
	static const char what[] = "a number of frames, 1 or more";
	const char *text = NULL;
	int r = ctl_option(ctl, args, "--count", what, &text);

	*ret_count = 0;
	if (r != CTL_OK || !text)
		return r;
	if (bf_parse_u64(bf_slice_from(text), ret_count) < 0 || *ret_count == 0)
		return ctl_fail(ctl, CTL_USAGE, "--count needs %s", what);
	return CTL_OK;
}

/* One part of the answer. */
static int show(struct ctl *ctl, const struct bf_frame *f, struct bf_buf *line)
{
	struct bf_msg_traced traced;
	int r = ctl_decode(ctl, f, &traced);

	if (r != CTL_OK)
		return r;
	r = ctl->json ? ctl_trace_json(&traced, &ctl->arena, line)
		      : ctl_trace_text(&traced, &ctl->arena, line);
	ctl_print_buf(ctl->out, line);
	bf_arena_reset(&ctl->arena);
	if (fflush(ctl->out) != 0)
		return ctl_fail(ctl, CTL_FAILED, "the output could not be written");
	return r < 0 ? ctl_fail(ctl, CTL_FAILED, "trace: %s", bf_err_text(r)) : CTL_OK;
}

/* count 0: until interrupted. *ret_over: the supervisor has ended the trace. */
static int follow(struct ctl *ctl, uint32_t request, uint64_t count, struct bf_buf *line,
		  bool *ret_over)
{
	uint64_t shown = 0;
	int r = CTL_OK;

	while (r == CTL_OK && !interrupted && !*ret_over && (count == 0 || shown < count)) {
		struct bf_err err = {0};
		struct bf_frame f;
		int code = ctl_receive(ctl, LOOK_MS, &f, &err);
		if (code == BF_E_TIMEOUT)
			continue;
		if (code < 0)
			return ctl_receive_failed(ctl, code, &err);
		if (f.request != request)
			continue;
		*ret_over = !(f.flags & BF_FRAME_MORE);
		if (f.type == BF_MSG_ERROR)
			return ctl_refused(ctl, &f);
		if (f.type != BF_MSG_TRACED)
			continue;
		r = show(ctl, &f, line);
		shown++;
	}
	return r;
}

int ctl_trace(struct ctl *ctl, struct ctl_args *args)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct bf_buf line;
	uint64_t count = 0;
	bool over = false;
	int r = parse_count(ctl, args, &count);

	if (r == CTL_OK)
		r = ctl_no_more(ctl, args);
	if (r == CTL_OK)
		r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;

	interrupted = 0;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	const uint16_t supervisor = BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0);
	uint32_t request = ctl_new_request(ctl);
	bf_buf_init(&line, LINE_BYTES);
	r = ctl_send(ctl, BF_MSG_TRACE, supervisor, request, 0, NULL);
	if (r == CTL_OK)
		r = follow(ctl, request, count, &line, &over);
	if (r == CTL_OK && !over)
		r = ctl_send(ctl, BF_MSG_TRACE, supervisor, request, BF_FRAME_CANCEL, NULL);
	bf_buf_done(&line);
	return r;
}
