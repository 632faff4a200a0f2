/*
 * A fetched price sheet becomes entities: all of its pieces and the head in one transaction and one
 * flip. Called by control.c and main.c. Must never put a sheet in force that it did not read to the
 * end, nor one that has lost most of its models, unless a person says so.
 */
#include "writerd/change/prices.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/log/log.h"
#include "common/proc/fds.h"
#include "shm/health.h"
#include "shm/metrics.h"

#define MESSAGE_BYTES (16u << 10)
#define ENTRIES_BYTES (64u << 20)

/* ---- what there is */

static struct entity *find(const struct registry *r, const char *id)
{
	return entities_live(r->t, BF_ENTITY_PRICING, bf_slice_from(id));
}

static bool read_head(const struct registry *r, struct bf_arena *arena,
		      struct bf_price_piece *ret_head)
{
	const struct entity *x = r->t ? find(r, BF_PRICE_HEAD) : NULL;

	return x && bf_entity_decode(&x->e, ret_head, arena, NULL) == 0;
}

bool prices_are_stale(int64_t now_ms, int64_t checked_ms, int64_t interval_ms, int64_t up_ms)
{
	if (checked_ms == 0)
		return up_ms > PRICES_NEVER_MS;
	return now_ms - checked_ms > 2 * interval_ms;
}

/* ---- putting */

static int put_piece(struct registry *r, struct bf_price_piece *piece, struct bf_arena *arena,
		     struct bf_err *err)
{
	const struct entity *last = entities_find(r->t, BF_ENTITY_PRICING, piece->id);
	const struct entity *before = last && entity_is_live(last) ? last : NULL;
	int64_t now_ms = bf_wall_ms();
	struct entity *x = NULL;
	int code = entity_make(&r->maker, BF_ENTITY_PRICING, piece, before, arena, &x);

	if (code < 0)
		return bf_err_sys(err, code, "price sheet");
	if (before && bf_slice_eq(before->e.body, x->e.body)) {
		entity_free(x);
		return 0;
	}
	x->e.version = last ? last->e.version + 1 : 1;
	x->e.created_ms = before ? before->e.created_ms : now_ms;
	x->e.updated_ms = now_ms;
	x->hlc = entity_hlc(now_ms);
	return registry_put(r, x, err);
}

static int drop(struct registry *r, const struct entity *x, struct bf_err *err)
{
	struct entity *stone = entity_tombstone(x);

	if (!stone)
		return bf_err_sys(err, -ENOMEM, "price sheet");
	stone->e.updated_ms = bf_wall_ms();
	stone->hlc = entity_hlc(stone->e.updated_ms);
	return registry_put(r, stone, err);
}

/* Those of a longer sheet before. */
static int drop_from(struct registry *r, uint32_t number, struct bf_err *err)
{
	char id[16];
	int code = 0;

	for (; number < BF_PRICE_PIECES_MAX && code == 0; number++) {
		const struct entity *x =
		    entities_live(r->t, BF_ENTITY_PRICING, bf_price_piece_id(number, id));

		code = x ? drop(r, x, err) : 0;
	}
	return code;
}

static int put_pieces(struct registry *r, struct bf_slice rest, uint32_t *ret_pieces,
		      struct bf_err *err)
{
	struct bf_arena arena;
	uint32_t pieces = 0;
	int code = 0;

	bf_arena_init(&arena, MESSAGE_BYTES);
	while (rest.len && code == 0) {
		struct bf_price_piece piece = {.id = {NULL, 0}};
		uint32_t count;
		size_t len;
		char id[16];

		if (pieces == BF_PRICE_PIECES_MAX || !bf_price_piece(rest, &len, &count)) {
			code = bf_err_set(err, BF_E_LIMIT, "price sheet: has too many pieces");
			break;
		}
		piece.id = bf_price_piece_id(pieces++, id);
		piece.entries = (struct bf_slice){rest.ptr, len};
		code = put_piece(r, &piece, &arena, err);
		rest = (struct bf_slice){rest.ptr + len, rest.len - len};
	}
	bf_arena_done(&arena);
	*ret_pieces = pieces;
	return code ? code : drop_from(r, pieces, err);
}

static int put_head(struct registry *r, struct bf_price_piece *head, struct bf_err *err)
{
	struct bf_arena arena;
	int code;

	bf_arena_init(&arena, MESSAGE_BYTES);
	head->id = BF_SLICE_LIT(BF_PRICE_HEAD);
	code = put_piece(r, head, &arena, err);
	bf_arena_done(&arena);
	return code;
}

/* ---- looking at what came */

static int read_pieces(struct bf_slice rest, uint64_t models, struct bf_err *err)
{
	struct bf_array entries = {NULL, 0};
	struct bf_arena arena;
	int code = 0;

	bf_arena_init(&arena, ENTRIES_BYTES);
	entries.items = bf_arena_alloc(&arena, models * sizeof(struct bf_conf_sheet_price));
	if (!entries.items)
		code = bf_err_sys(err, -ENOMEM, "price sheet");
	while (rest.len && code == 0) {
		uint32_t count;
		size_t len;

		if (!bf_price_piece(rest, &len, &count)) {
			code = bf_err_set(err, BF_E_SYNTAX, "price sheet: is cut");
			break;
		}
		code = bf_price_unpack((struct bf_slice){rest.ptr, len}, &arena, (uint32_t)models,
				       &entries, err);
		rest = (struct bf_slice){rest.ptr + len, rest.len - len};
	}
	if (code == 0 && entries.count != models)
		code = bf_err_set(err, BF_E_SYNTAX, "price sheet: has %u models, not %" PRIu64,
				  entries.count, models);
	bf_arena_done(&arena);
	return code;
}

/* Of another address nothing is known. */
static int check_size(const struct prices *p, const struct bf_price_piece *head, bool has_head,
		      struct bf_err *err)
{
	const struct bf_msg_price_sheet *m = &p->sheet;

	if (m->models == 0 || m->models > BF_SHEET_ENTRIES_MAX)
		return bf_err_set(err, BF_E_RANGE, "price sheet: has %" PRIu64 " models",
				  m->models);
	if (has_head && !m->accept_smaller && bf_slice_eq(head->url, m->url) &&
	    2 * m->models < head->models)
		return bf_err_set(err, BF_E_DENIED,
				  "price sheet: has %" PRIu64 " models where it had %" PRIu64
				  ": if that is right, POST /api/pricing/force-sync?"
				  "accept_smaller=true",
				  m->models, head->models);
	return 0;
}

static int store(struct prices *p, struct bf_slice bytes, struct bf_err *err)
{
	const struct bf_msg_price_sheet *m = &p->sheet;
	struct bf_price_piece head;
	bool has_head = read_head(p->r, &p->arena, &head);
	uint32_t pieces = 0;
	int code = check_size(p, &head, has_head, err);

	if (code == 0)
		code = read_pieces(bytes, m->models, err);
	if (code == 0)
		code = put_pieces(p->r, bytes, &pieces, err);
	if (code < 0)
		return code;
	head = (struct bf_price_piece){.url = m->url,
				       .etag = m->etag,
				       .date = m->date,
				       .models = m->models,
				       .skipped = m->skipped,
				       .pieces = pieces,
				       .synced_ms = bf_wall_ms()};
	head.checked_ms = head.synced_ms;
	return put_head(p->r, &head, err);
}

static int store_sheet(struct prices *p, struct bf_err *err)
{
	const void *bytes;
	size_t len;
	int code = bf_memfd_map(p->fd, &bytes, &len, err);

	if (code < 0)
		return code;
	if (len == p->sheet.size)
		code = store(p, (struct bf_slice){bytes, len}, err);
	else
		code = bf_err_set(err, BF_E_SYNTAX, "price sheet: is not whole");
	bf_memfd_unmap(bytes, len);
	return code;
}

static int store_fresh(struct prices *p, struct bf_err *err)
{
	struct bf_price_piece head;

	if (!read_head(p->r, &p->arena, &head) || !bf_slice_eq(head.url, p->sheet.url))
		return bf_err_set(err, BF_E_MISSING, "price sheet: there is none of this address");
	head.checked_ms = bf_wall_ms();
	return put_head(p->r, &head, err);
}

/* ---- one message */

static void end(struct prices *p, int code, const char *why)
{
	if (code < 0) {
		p->refused++;
		(void)bf_channel_reply_error(&p->child->channel, &p->asked, code, why);
	} else {
		p->taken++;
		(void)bf_channel_reply(&p->child->channel, &p->asked, BF_MSG_OK, NULL, false);
	}
	if (p->fd >= 0)
		(void)close(p->fd);
	p->fd = -1;
	bf_arena_reset(&p->arena);
	p->state = PRICES_IDLE;
}

static int group(struct prices *p, struct bf_err *err)
{
	int code = p->r->t ? p->r->trouble.code : BF_E_STATE;

	if (code < 0)
		return bf_err_set(err, code, "%s",
				  p->r->t ? p->r->trouble.text : "nothing was loaded yet");
	code = registry_begin(p->r, err);
	if (code < 0)
		return code;
	code = p->fd < 0 ? store_fresh(p, err) : store_sheet(p, err);
	if (code < 0)
		registry_rollback(p->r);
	else
		code = registry_commit(p->r, err);
	return code;
}

static void run(struct prices *p)
{
	struct bf_err err = {0};
	int code;

	if (p->state != PRICES_WAIT || publish_is_busy(&p->r->publish))
		return;
	code = group(p, &err);
	if (code < 0) {
		end(p, code, err.text);
		return;
	}
	p->state = PRICES_FLY;
	publish_now(&p->r->publish);
}

static bool begin(struct prices *p, const struct bf_frame *f)
{
	if (p->state != PRICES_IDLE) {
		(void)bf_channel_reply_error(&p->child->channel, f, BF_E_FULL,
					     "another price sheet is on its way: try again");
		return false;
	}
	p->asked = *f;
	p->asked.body = (struct bf_slice){NULL, 0};
	p->asked.fd = -1;
	p->state = PRICES_WAIT;
	return true;
}

static bool keep(struct prices *p, struct bf_slice text, struct bf_slice *ret_kept)
{
	*ret_kept = bf_arena_dup(&p->arena, text);
	return ret_kept->ptr != NULL;
}

void prices_take(struct prices *p, const struct bf_frame *f, const struct bf_msg_price_sheet *m)
{
	if (!begin(p, f))
		return;
	p->sheet = *m;
	p->fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	if (p->fd < 0 || !keep(p, m->url, &p->sheet.url) || !keep(p, m->etag, &p->sheet.etag) ||
	    !keep(p, m->date, &p->sheet.date))
		end(p, -ENOMEM, "no memory for the price sheet");
	else
		run(p);
}

void prices_fresh(struct prices *p, const struct bf_frame *f, const struct bf_msg_price_fresh *m)
{
	if (!begin(p, f))
		return;
	p->sheet = (struct bf_msg_price_sheet){.models = 0};
	if (!keep(p, m->url, &p->sheet.url))
		end(p, -ENOMEM, "no memory for the price sheet");
	else
		run(p);
}

void prices_published(struct prices *p, int code, const char *why)
{
	if (!p->child)
		return;
	if (p->state == PRICES_FLY)
		end(p, code, why[0] ? why : "it is stored, and could not be put in force yet");
	run(p);
}

/* ---- life */

void prices_init(struct prices *p, struct bf_child *child, struct registry *r)
{
	*p = (struct prices){.child = child, .r = r, .fd = -1, .began_ms = bf_mono_ms()};
	bf_arena_init(&p->arena, MESSAGE_BYTES);
}

void prices_done(struct prices *p)
{
	if (!p->child)
		return;
	if (p->fd >= 0)
		(void)close(p->fd);
	bf_arena_done(&p->arena);
	p->child = NULL;
}

int prices_settle(struct registry *r, struct bf_err *err)
{
	struct entity *x = entities_next(r->t, BF_ENTITY_PRICING, NULL);
	int code = 0;

	if (r->config->pricing.pricing_url.len || !x)
		return 0;
	code = registry_begin(r, err);
	if (code < 0)
		return code;
	for (; x && code == 0; x = entities_next(r->t, BF_ENTITY_PRICING, NULL))
		code = drop(r, x, err);
	if (code < 0)
		registry_rollback(r);
	else
		code = registry_commit(r, err);
	if (code == 0)
		bf_log(BF_LOG_INFO, "price_sheet_dropped", "reason=%s",
		       bf_log_quote("framework.pricing.pricing_url is not set any more"));
	return code;
}

void prices_second(struct prices *p)
{
	const struct bf_conf_pricing *conf = &p->r->config->pricing;
	struct bf_price_piece head = {.models = 0};
	struct bf_arena arena;

	bf_arena_init(&arena, MESSAGE_BYTES);
	(void)read_head(p->r, &arena, &head);
	shm_metric_set(p->r->seg, p->r->proc_slot, SHM_M_PRICE_SYNC_MODELS, (int64_t)head.models);
	shm_metric_set(p->r->seg, p->r->proc_slot, SHM_M_PRICE_SYNC_SKIPPED, (int64_t)head.skipped);
	shm_metric_set(p->r->seg, p->r->proc_slot, SHM_M_PRICE_SYNC_TIME, head.checked_ms / 1000);
	shm_health_set(p->r->seg, p->r->proc_slot, SHM_H_PRICE_SHEET_STALE,
		       conf->pricing_url.len && prices_are_stale(bf_wall_ms(), head.checked_ms,
								 conf->pricing_sync_interval_ms,
								 bf_mono_ms() - p->began_ms));
	bf_arena_done(&arena);
}

void prices_status(const struct prices *p, struct bf_array *items, struct bf_arena *arena)
{
	struct bf_price_piece head;
	struct bf_arena scratch;

	bf_arena_init(&scratch, MESSAGE_BYTES);
	if (!p->r->config->pricing.pricing_url.len)
		bf_status_add(items, arena, "price_sync", "off");
	else if (!read_head(p->r, &scratch, &head))
		bf_status_add(items, arena, "price_sync", "no sheet came yet");
	else
		bf_status_add(items, arena, "price_sync",
			      "%" PRIu64 " models, %" PRIu64 " skipped, looked at %" PRId64
			      " s ago",
			      head.models, head.skipped, (bf_wall_ms() - head.checked_ms) / 1000);
	bf_arena_done(&scratch);
}
