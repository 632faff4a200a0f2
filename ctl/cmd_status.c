/*
 * bifrostctl status: the supervisor's view of its children, then what each process says about
 * itself. Must never hang on a process that does not answer: that is what people come to see.
 */
#include <inttypes.h>

#include "common/base/clock.h"
#include "common/codec/json_writer.h"
#include "common/proc/child.h"
#include "ctl/output.h"
#include "ctl/session.h"

#define MAX_PROCESSES 128 /* more than there are process slots */
#define ANSWER_MS     2000
#define OUTPUT_BYTES  (8u << 20)

struct process {
	struct bf_msg_child child; /* all zero for the supervisor itself */
	struct bf_msg_status status;
	uint32_t request; /* 0: was not asked */
	bool answered;
};

struct picture {
	struct process list[MAX_PROCESSES]; /* the supervisor first */
	uint32_t count;
	uint32_t waiting;
};

static int on_child(struct ctl *ctl, const struct bf_frame *f, void *user)
{
	struct picture *p = user;

	if (p->count == MAX_PROCESSES)
		return ctl_fail(ctl, CTL_FAILED, "the gateway tells of more than %d processes",
				MAX_PROCESSES);
	int r = ctl_decode(ctl, f, &p->list[p->count].child);
	if (r == CTL_OK)
		p->count++;
	return r;
}

static int ask(struct ctl *ctl, struct picture *p, struct process *process, uint16_t endpoint)
{
	process->request = ctl_new_request(ctl);
	p->waiting++;
	return ctl_send(ctl, BF_MSG_STATUS_GET, endpoint, process->request, 0, NULL);
}

/* All at once, so that several silent processes cost one wait. */
static int ask_all(struct ctl *ctl, struct picture *p)
{
	int r = ask(ctl, p, &p->list[0], BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0));

	for (uint32_t i = 1; r == CTL_OK && i < p->count; i++) {
		uint16_t endpoint = 0;
		struct process *process = &p->list[i];
		if (bf_slice_is(process->child.state, "ready") &&
		    bf_endpoint_parse(process->child.name, &endpoint) == 0)
			r = ask(ctl, p, process, endpoint);
	}
	return r;
}

static struct process *asked(struct picture *p, uint32_t request)
{
	for (uint32_t i = 0; i < p->count; i++) {
		if (p->list[i].request == request && request)
			return &p->list[i];
	}
	return NULL;
}

static void take_answer(struct ctl *ctl, struct picture *p, const struct bf_frame *f)
{
	struct process *process = asked(p, f->request);

	if (!process)
		return;
	/* A process that cannot answer, or answers nonsense, is shown without its items. */
	if (f->type == BF_MSG_STATUS && ctl_decode(ctl, f, &process->status) == CTL_OK)
		process->answered = true;
	if (!(f->flags & BF_FRAME_MORE)) {
		process->request = 0;
		p->waiting--;
	}
}

static int collect(struct ctl *ctl, struct picture *p)
{
	int64_t deadline = bf_mono_ms() + ANSWER_MS;

	while (p->waiting) {
		struct bf_err err = {0};
		struct bf_frame f;
		int64_t left = deadline - bf_mono_ms();
		int code = ctl_receive(ctl, left > 0 ? left : 0, &f, &err);
		if (code == BF_E_TIMEOUT)
			return CTL_OK;
		if (code < 0)
			return ctl_receive_failed(ctl, code, &err);
		take_answer(ctl, p, &f);
	}
	return CTL_OK;
}

static void print_padded(FILE *out, struct bf_slice text, int width)
{
	ctl_print_text(out, text);
	(void)fprintf(out, "%*s", text.len < (size_t)width ? width - (int)text.len : 1, "");
}

static void print_child(FILE *out, const struct bf_msg_child *c)
{
	char pid[24] = "-", up[32], beat[32], wait[32];

	if (c->pid)
		(void)snprintf(pid, sizeof(pid), "%" PRIu64, c->pid);
	print_padded(out, c->name, 14);
	print_padded(out, c->state, 11);
	(void)fprintf(out, "%-9s%-9s%-10" PRIu64 "%-9s%-7" PRIu64, pid,
		      ctl_format_age(c->pid ? c->uptime_ms : -1, up), c->restarts,
		      ctl_format_age(c->pid ? c->heartbeat_age_ms : -1, beat), c->queue_frames);
	ctl_print_text(out, c->last_exit.len ? c->last_exit : BF_SLICE_LIT("-"));
	if (c->backoff_ms > 0)
		(void)fprintf(out, ", next start in %s", ctl_format_age(c->backoff_ms, wait));
	(void)fputc('\n', out);
}

static void print_items(FILE *out, const struct process *process)
{
	const struct bf_msg_status_item *items = process->status.items.items;

	if (!process->answered)
		return;
	ctl_print_text(out, process->status.process);
	(void)fputs(":\n", out);
	for (uint32_t i = 0; i < process->status.items.count; i++) {
		(void)fputs("  ", out);
		print_padded(out, items[i].name, 28);
		ctl_print_text(out, items[i].value);
		(void)fputc('\n', out);
	}
}

static void print_people(FILE *out, const struct picture *p)
{
	const struct process *supervisor = &p->list[0];
	char up[32];

	(void)fprintf(out, "%-14s%-11s%-9s%-9s%-10s%-9s%-7s%s\n", "NAME", "STATE", "PID", "UP",
		      "RESTARTS", "BEAT", "QUEUE", "LAST EXIT");
	if (supervisor->answered)
		(void)fprintf(out, "%-14s%-11s%-9" PRIu64 "%s\n", "supervisor", "running",
			      supervisor->status.pid,
			      ctl_format_age(supervisor->status.uptime_ms, up));
	for (uint32_t i = 1; i < p->count; i++)
		print_child(out, &p->list[i].child);
	(void)fputc('\n', out);
	for (uint32_t i = 0; i < p->count; i++)
		print_items(out, &p->list[i]);
	for (uint32_t i = 0; i < p->count; i++) {
		if (!p->list[i].request)
			continue;
		ctl_print_text(out, i ? p->list[i].child.name : BF_SLICE_LIT("supervisor"));
		(void)fprintf(out, ": no answer within %d s\n", ANSWER_MS / 1000);
	}
}

static int print_json(struct ctl *ctl, const struct picture *p)
{
	struct bf_json_writer w;
	struct bf_buf buf;

	bf_buf_init(&buf, OUTPUT_BYTES);
	bf_jw_init(&w, &buf);
	bf_jw_object(&w);
	bf_jw_key(&w, "children");
	bf_jw_array(&w);
	for (uint32_t i = 1; i < p->count; i++)
		bf_table_write_json(bf_msg_def(BF_MSG_CHILD)->body, &p->list[i].child, &w);
	bf_jw_end_array(&w);
	bf_jw_key(&w, "status");
	bf_jw_array(&w);
	for (uint32_t i = 0; i < p->count; i++) {
		if (p->list[i].answered)
			bf_table_write_json(bf_msg_def(BF_MSG_STATUS)->body, &p->list[i].status,
					    &w);
	}
	bf_jw_end_array(&w);
	bf_jw_end_object(&w);
	int r = bf_jw_finish(&w);
	if (r == 0)
		r = bf_buf_append(&buf, "\n", 1);
	ctl_print_buf(ctl->out, &buf);
	bf_buf_done(&buf);
	return r < 0 ? ctl_fail(ctl, CTL_FAILED, "status: %s", bf_err_text(r)) : CTL_OK;
}

/* After an upgrade of the package the gateway runs on as it was until it is restarted. */
static void warn_of_another_build(struct ctl *ctl, const struct process *supervisor)
{
	const struct bf_msg_status_item *items = supervisor->status.items.items;

	for (uint32_t i = 0; i < supervisor->status.items.count; i++) {
		if (!bf_slice_is(items[i].name, "build") ||
		    bf_slice_is(items[i].value, bf_build_id()))
			continue;
		(void)fputs("bifrostctl: warning: the gateway is of build ", ctl->err);
		ctl_print_text(ctl->err, items[i].value);
		(void)fprintf(ctl->err,
			      ", bifrostctl of build %s: restart the gateway to use the new one\n",
			      bf_build_id());
	}
}

int ctl_status(struct ctl *ctl, struct ctl_args *args)
{
	int r = ctl_no_more(ctl, args);

	if (r == CTL_OK)
		r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;

	struct picture *p = bf_arena_alloc(&ctl->arena, sizeof(*p));
	if (!p)
		return ctl_fail(ctl, CTL_FAILED, "out of memory");
	p->count = 1;
	r = ctl_call(ctl, BF_MSG_CHILDREN_GET, NULL, CTL_QUICK_MS, BF_MSG_CHILD, on_child, p);
	if (r == CTL_OK)
		r = ask_all(ctl, p);
	if (r == CTL_OK)
		r = collect(ctl, p);
	if (r != CTL_OK)
		return r;
	warn_of_another_build(ctl, &p->list[0]);
	if (ctl->json)
		return print_json(ctl, p);
	print_people(ctl->out, p);
	return CTL_OK;
}
