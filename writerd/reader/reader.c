/*
 * The process that answers questions about rows. Started by the supervisor like every child, with a
 * sandbox of its own: it reads the folder of logs.db and nothing else. Questions wait in a bounded
 * queue and run one at a time, between looks at the control channel. Must never write to a store,
 * and is never needed for a request to succeed.
 */
#include "writerd/reader/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/log/log.h"
#include "common/proc/fds.h"
#include "common/snapshot/holder.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "shm/slot.h"
#include "writerd/paths.h"
#include "writerd/priority.h"
#include "writerd/reader/price_sync.h"
#include "writerd/reader/reader_entities.h"
#include "writerd/store/schema_sql.h"
#include "writerd/store/store_sqlite_search.h"

#define QUESTION_ARENA_BYTES (1u << 20)
#define BEHIND_MS            1000 /* so long a question waits for what is in force */

_Static_assert(SEARCH_LIMIT_MS < READER_PATIENCE_MS, "an answer comes while it is waited for");

/* A question that waits: the frame's header and its body, as it came. */
struct question {
	struct bf_list node;
	uint16_t asker, type;
	uint32_t request;
	int64_t came_mono_ms;
	size_t len;
	char body[];
};

struct reader {
	struct bf_child *child;
	struct shm_segment seg;
	const char *path;      /* NULL: no logs are kept, or refusal says why not */
	struct bf_err refusal; /* of the configured path */
	struct search *search;
	struct bf_snapshot_holder snapshots;
	struct price_sync prices;
	struct bf_list waiting;
	uint32_t waiting_count;
	ev_idle work;
	ev_timer behind; /* the first question waits for what is in force */
	uint64_t answered, failed, dropped;
	int64_t slowest_ms;
};

static struct bf_sandbox_path sandbox_paths[3];

/* With a price sheet to fetch, sockets too: reader_open(). */
static struct bf_sandbox sandbox = {
    .groups = BF_SYS_BASE | BF_SYS_CHANNEL | BF_SYS_FILES | BF_SYS_MEMFD,
    .paths = sandbox_paths,
};

static void beat(struct bf_child *child)
{
	struct reader *r = child->daemon;

	shm_slot_beat(&r->seg, child->proc_slot, bf_mono_ns());
	shm_metric_add(&r->seg, child->proc_slot, SHM_M_LOG_LINES_LOST, bf_log_take_lost());
}

static void alive(void *owner)
{
	beat(owner);
}

/* ------------------------------------------------------------------ answers */

static struct bf_frame header_of(const struct reader *r, const struct question *q)
{
	return (struct bf_frame){.type = q->type,
				 .source = q->asker,
				 .target = r->child->endpoint,
				 .request = q->request,
				 .fd = -1};
}

static void answer_error(struct reader *r, const struct question *q, int code, const char *text)
{
	struct bf_frame f = header_of(r, q);

	r->failed++;
	(void)bf_channel_reply_error(&r->child->channel, &f, code, text);
}

static int send_memfd(struct reader *r, const struct question *q, uint16_t type,
		      const void *message, int fd)
{
	struct bf_buf body;
	int code;

	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	code = bf_msg_encode(type, message, &body);
	if (code == 0) {
		const struct bf_frame f = {.flags = BF_FRAME_REPLY,
					   .type = type,
					   .source = r->child->endpoint,
					   .target = q->asker,
					   .request = q->request,
					   .body = bf_buf_slice(&body),
					   .fd = fd};

		code = bf_channel_send(&r->child->channel, &f);
	}
	bf_buf_done(&body);
	return code;
}

static void answer(struct reader *r, const struct question *q, uint16_t type, const void *message,
		   struct bf_slice json)
{
	int fd = bf_memfd_sealed("bifrost-answer", json.ptr, json.len);

	if (fd < 0 || send_memfd(r, q, type, message, fd) < 0)
		answer_error(r, q, fd < 0 ? fd : -EIO, "the answer could not be handed over");
	else
		r->answered++;
	if (fd >= 0)
		(void)close(fd);
}

static int search(struct reader *r, const struct question *q, struct bf_buf *out,
		  struct bf_err *err)
{
	struct bf_msg_logs_query query;
	struct bf_arena arena;
	int code;

	if (!r->search)
		return r->refusal.code < 0 ? bf_err_set(err, r->refusal.code, "%s", r->refusal.text)
					   : bf_err_set(err, BF_E_STATE,
							"no logs are kept: logs_store.enabled or "
							"client.enable_logging is off");
	bf_arena_init_nodump(&arena, QUESTION_ARENA_BYTES);
	code = bf_msg_decode(BF_MSG_LOGS_QUERY, (struct bf_slice){q->body, q->len}, &query, &arena,
			     err);
	if (code == 0)
		code = search_run(r->search, &query, out, err);
	bf_arena_done(&arena);
	return code;
}

static int run_search(struct reader *r, const struct question *q, struct bf_err *err)
{
	struct bf_msg_logs_result message;
	struct bf_buf out;
	int code;

	bf_buf_init_nodump(&out, SEARCH_MAX_BYTES);
	code = search(r, q, &out, err);
	message.size = bf_buf_len(&out);
	if (code == 0)
		answer(r, q, BF_MSG_LOGS_RESULT, &message, bf_buf_slice(&out));
	bf_buf_done(&out);
	return code;
}

static int look(struct reader *r, const struct question *q, struct bf_buf *out,
		struct entities_answer *ret_answer, struct bf_err *err)
{
	struct bf_msg_entity_query query;
	struct bf_arena arena;
	int code;

	bf_arena_init_nodump(&arena, QUESTION_ARENA_BYTES);
	code = bf_msg_decode(q->type, (struct bf_slice){q->body, q->len}, &query, &arena, err);
	if (code == 0) {
		code = entities_look(bf_snapshot_now(&r->snapshots, shm_generation(&r->seg)),
				     &r->seg, &query, out, ret_answer);
		if (code < 0)
			(void)bf_err_set(err, code,
					 code == BF_E_LIMIT
					     ? "the answer is too large: ask for a smaller page"
					     : "no memory for the answer");
	}
	bf_arena_done(&arena);
	return code;
}

static int run_look(struct reader *r, const struct question *q, struct bf_err *err)
{
	struct entities_answer a;
	struct bf_buf out;
	int code;

	bf_buf_init_nodump(&out, BF_ENTITY_ANSWER_MAX);
	code = look(r, q, &out, &a, err);
	if (code == 0) {
		const struct bf_msg_entity_result message = {.status = (uint64_t)a.http_status,
							     .version = a.version,
							     .size = bf_buf_len(&out)};

		answer(r, q, BF_MSG_ENTITY_RESULT, &message, bf_buf_slice(&out));
	}
	bf_buf_done(&out);
	return code;
}

static void run(struct reader *r, const struct question *q)
{
	int64_t began = bf_mono_ms(), took;
	struct bf_err err = {0};
	int code;

	if (began - q->came_mono_ms > READER_PATIENCE_MS) {
		r->dropped++;
		answer_error(r, q, BF_E_TIMEOUT, "it waited too long behind other questions");
		return;
	}
	code = q->type == BF_MSG_LOGS_QUERY ? run_search(r, q, &err) : run_look(r, q, &err);
	took = bf_mono_ms() - began;
	r->slowest_ms = took > r->slowest_ms ? took : r->slowest_ms;
	if (code == 0)
		return;
	if (code != BF_E_UNKNOWN)
		bf_log(BF_LOG_WARN, "question_failed", "ms=%lld reason=%s", (long long)took,
		       bf_log_quote(err.text));
	answer_error(r, q, code, err.text);
}

/* ------------------------------------------------------------------ the queue */

static void forget(struct reader *r, struct question *q)
{
	bf_list_remove(&q->node);
	r->waiting_count--;
	free(q);
}

/* Who asks may have been told of a change that was put in force while this process was busy: the
 * supervisor tells it of that when it has answered for the one before. */
static bool may_run(struct reader *r, const struct question *q)
{
	return q->type == BF_MSG_LOGS_QUERY ||
	       !bf_snapshot_is_behind(&r->snapshots, shm_generation(&r->seg)) ||
	       bf_mono_ms() - q->came_mono_ms >= BEHIND_MS;
}

static void on_behind(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct reader *r = w->data;

	(void)revents;
	ev_timer_stop(loop, w);
	if (!bf_list_empty(&r->waiting))
		ev_idle_start(loop, &r->work);
}

/* Runs when nothing else is to be done: so a cancel is read before the question it is about. */
static void on_work(struct ev_loop *loop, ev_idle *w, int revents)
{
	struct reader *r = w->data;
	struct question *q = BF_CONTAINER_OF(r->waiting.next, struct question, node);

	(void)revents;
	if (!may_run(r, q)) {
		ev_idle_stop(loop, w);
		ev_timer_again(loop, &r->behind);
		return;
	}
	run(r, q);
	forget(r, q);
	if (bf_list_empty(&r->waiting))
		ev_idle_stop(loop, w);
}

static void on_query(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct reader *r = child->daemon;
	struct question *q = NULL;

	(void)message;
	if (r->waiting_count < READER_MAX_WAITING)
		q = malloc(sizeof(*q) + f->body.len);
	if (!q) {
		r->failed++;
		(void)bf_channel_reply_error(&child->channel, f, BF_E_FULL,
					     "too many questions wait for the reader: try again");
		return;
	}
	q->type = f->type;
	q->asker = f->source;
	q->request = f->request;
	q->came_mono_ms = bf_mono_ms();
	q->len = f->body.len;
	memcpy(q->body, f->body.ptr, f->body.len);
	bf_list_append(&r->waiting, &q->node);
	r->waiting_count++;
	ev_idle_start(child->loop, &r->work);
}

/* Held beside what is in force until the segment's header says that it is. */
static void on_snapshot(struct bf_child *child, struct bf_frame *f, const void *message)
{
	const struct bf_msg_snapshot_next *m = message;
	struct reader *r = child->daemon;
	struct bf_err err = {0};
	int code;

	/* What came before is in force since, or gives way. */
	(void)bf_snapshot_now(&r->snapshots, shm_generation(&r->seg));
	code = bf_snapshot_take(&r->snapshots, f->fd, m->generation, &err);
	if (code < 0)
		bf_log(BF_LOG_ERROR, "snapshot_refused", "generation=%llu reason=%s",
		       (unsigned long long)m->generation, bf_log_quote(err.text));
	/* A base is not answered: the overlay over it is. */
	if (f->request == 0)
		return;
	(void)bf_channel_send_msg(&child->channel,
				  code < 0 ? BF_MSG_SNAPSHOT_REFUSED : BF_MSG_SNAPSHOT_TAKEN,
				  child->endpoint, f->source, f->request, BF_FRAME_REPLY, NULL);
	on_behind(child->loop, &r->behind, 0);
}

static void on_price_sync(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct reader *r = child->daemon;

	price_sync_ask(&r->prices, f, message);
}

/* Nobody but writerd is asked anything: about a price sheet. */
static void on_ok(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct reader *r = child->daemon;

	(void)message;
	price_sync_answered(&r->prices, f->request, 0, BF_SLICE_LIT(""));
}

static void on_error(struct bf_child *child, struct bf_frame *f, const void *message)
{
	const struct bf_msg_error *m = message;
	struct reader *r = child->daemon;

	price_sync_answered(&r->prices, f->request, BF_MIN(m->code, -1), m->text);
}

static void on_cancelled(struct bf_child *child, uint16_t asker, uint32_t request)
{
	struct reader *r = child->daemon;
	struct bf_list *it, *next;

	price_sync_cancelled(&r->prices, asker, request);
	BF_LIST_FOREACH_SAFE(it, next, &r->waiting)
	{
		struct question *q = BF_CONTAINER_OF(it, struct question, node);

		if (q->asker == asker && q->request == request) {
			r->dropped++;
			forget(r, q);
		}
	}
	if (bf_list_empty(&r->waiting))
		ev_idle_stop(child->loop, &r->work);
}

/* ------------------------------------------------------------------ life */

/* How far the price sheet opens the fence. */
static void open_prices(struct reader *r, struct bf_child *child)
{
	struct bf_sandbox_path *rule = sandbox_paths;

	price_sync_open(&r->prices, child, &r->seg, &r->snapshots);
	if (rule->path)
		rule++;
	if (price_sync_needs(&r->prices, rule)) {
		sandbox.groups |= BF_SYS_CONNECT;
		sandbox.tcp_connect = true;
	}
}

static int reader_open(struct bf_child *child, struct bf_err *err)
{
	static struct reader reader;
	const struct bf_config *c = &child->config;
	struct reader *r = &reader;
	int code = shm_segment_attach(child->segment_fd, false, NULL, &r->seg, err);

	if (code < 0)
		return code;
	child->daemon = r;
	r->child = child;
	bf_list_init(&r->waiting);
	code = shm_slot_enter(&r->seg, child->proc_slot, (uint32_t)getpid(), bf_wall_ns(),
			      bf_mono_ns());
	if (code < 0)
		return bf_err_set(
		    err, code,
		    "segment: process slot %u is not ours: start the reader through the supervisor",
		    child->proc_slot);
	child->beat = beat;
	priority_lower();
	/* writerd tells what is wrong with a path; here it only stands in the answers. */
	if (c->logs_store.enabled && c->client.enable_logging &&
	    paths_resolve(child, &c->logs_store, schema_logs.store, &r->path, &r->refusal) == 0)
		(void)paths_allow(child, r->path, schema_logs.store, BF_PATH_READ, sandbox_paths,
				  &r->refusal);
	open_prices(r, child);
	return 0;
}

static void on_second(struct bf_child *child)
{
	struct reader *r = child->daemon;

	if (r->search)
		search_tick(r->search);
	price_sync_second(&r->prices);
}

static int reader_start(struct bf_child *child, struct bf_err *err)
{
	struct reader *r = child->daemon;

	shm_health_set(&r->seg, child->proc_slot, SHM_H_SANDBOX_PARTIAL,
		       !child->sandbox.landlock_files);
	if (r->path && r->refusal.code == 0) {
		r->search = search_new(r->path, alive, child);
		if (!r->search)
			return bf_err_sys(err, -ENOMEM, "reader");
	}
	price_sync_start(&r->prices);
	ev_idle_init(&r->work, on_work);
	ev_timer_init(&r->behind, on_behind, 0., BEHIND_MS / 1000.);
	r->work.data = r->behind.data = r;
	child->on_second = on_second;
	bf_log(BF_LOG_INFO, "reader_started", "store=%s", bf_log_quote(r->path ? r->path : "off"));
	return 0;
}

static void reader_stop(struct bf_child *child)
{
	struct reader *r = child->daemon;

	ev_idle_stop(child->loop, &r->work);
	ev_timer_stop(child->loop, &r->behind);
	while (!bf_list_empty(&r->waiting)) {
		struct question *q = BF_CONTAINER_OF(r->waiting.next, struct question, node);

		answer_error(r, q, BF_E_CLOSED, "the reader is being replaced: ask again");
		forget(r, q);
	}
	price_sync_stop(&r->prices);
	if (r->search)
		search_free(r->search);
	r->search = NULL;
	bf_snapshot_release(&r->snapshots);
}

static void reader_status(struct bf_child *child, struct bf_array *items, struct bf_arena *arena)
{
	const struct reader *r = child->daemon;

	bf_status_add(items, arena, "store", "%s", r->path ? r->path : "off");
	bf_status_add(items, arena, "questions_waiting", "%u", r->waiting_count);
	bf_status_add(items, arena, "questions_answered", "%llu", (unsigned long long)r->answered);
	bf_status_add(items, arena, "questions_failed", "%llu", (unsigned long long)r->failed);
	bf_status_add(items, arena, "questions_dropped", "%llu", (unsigned long long)r->dropped);
	bf_status_add(items, arena, "slowest_ms", "%lld", (long long)r->slowest_ms);
	price_sync_status(&r->prices, items, arena);
}

static const struct bf_child_handler handlers[] = {
    {BF_MSG_LOGS_QUERY, on_query},
    {BF_MSG_ENTITY_QUERY, on_query},
    {BF_MSG_SNAPSHOT_NEXT, on_snapshot},
    {BF_MSG_PRICE_SYNC, on_price_sync},
    {BF_MSG_OK, on_ok},
    {BF_MSG_ERROR, on_error},
    {0, NULL},
};

const struct bf_child_spec reader_spec = {
    .role = BF_ROLE_READER,
    .layout_version = SHM_LAYOUT_VERSION,
    .sandbox = &sandbox,
    .handlers = handlers,
    .open = reader_open,
    .start = reader_start,
    .stop = reader_stop,
    .cancelled = on_cancelled,
    .status = reader_status,
};
