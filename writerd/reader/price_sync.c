/*
 * When to look at the price sheet, and what becomes of what came. Called by reader.c. Must never
 * hold up a question for longer than a sheet takes to be read, and never touch what is stored: that
 * is writerd's.
 */
#include "writerd/reader/price_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/rand.h"
#include "common/codec/utf8.h"
#include "common/log/log.h"
#include "common/proc/fds.h"
#include "common/schema/price_sheet.h"
#include "shm/metrics.h"
#include "writerd/paths.h"

#define SHEET_ARENA_BYTES (512u << 20)
#define HEAD_ARENA_BYTES  (16u << 10)
#define TOLD_LIMIT_MS     20000 /* the supervisor answers for writerd after 10 s */
#define JITTER_PART       20    /* of the interval: nodes of one start shall not ask together */

bool price_sync_is_due(int64_t now_ms, int64_t checked_ms, int64_t interval_ms, int64_t jitter_ms)
{
	int64_t age_ms = now_ms - checked_ms;

	return checked_ms == 0 || age_ms >= interval_ms + jitter_ms || age_ms < -interval_ms;
}

/* ---- how it ended */

static void answer_all(struct price_sync *p, int http_status, const char *type, const char *text)
{
	const struct price_answer answer = {.http_status = http_status,
					    .type = type,
					    .text = text,
					    .models = p->told.models,
					    .skipped = p->told.skipped};

	price_askers_answer(&p->askers, p->child, INT64_MAX, &answer);
}

static void ended(struct price_sync *p)
{
	p->state = PRICE_SYNC_IDLE;
	p->accept_smaller = false;
	p->request = 0;
}

static void succeed(struct price_sync *p, const char *text)
{
	p->synced++;
	p->failures = 0;
	p->not_before_ms = bf_mono_ms() + PRICE_SYNC_RETRY_S * INT64_C(1000);
	p->last_error[0] = '\0';
	shm_metric_add(p->seg, p->child->proc_slot, SHM_M_PRICE_SYNCS, 1);
	bf_log(BF_LOG_INFO, "price_sheet_synced", "what=%s models=%" PRIu64 " skipped=%" PRIu64,
	       bf_log_quote(text), p->told.models, p->told.skipped);
	answer_all(p, 200, NULL, text);
	ended(p);
}

/* What stands behind a '?' may be what opens the door: it is not shown. */
static const char *shown(const char *url, char out[BF_FETCH_URL_MAX + 1])
{
	(void)snprintf(out, BF_FETCH_URL_MAX + 1, "%.*s", (int)strcspn(url, "?#"), url);
	return out;
}

static void fail(struct price_sync *p, const char *why)
{
	uint32_t wait_s = PRICE_SYNC_RETRY_S << BF_MIN(p->failures, 6u);
	char url[BF_FETCH_URL_MAX + 1];

	p->failed++;
	p->failures++;
	(void)snprintf(p->last_error, sizeof(p->last_error), "%s", why);
	shm_metric_add(p->seg, p->child->proc_slot, SHM_M_PRICE_SYNC_FAILURES, 1);
	p->not_before_ms = bf_mono_ms() + BF_MIN(wait_s, PRICE_SYNC_RETRY_MAX) * INT64_C(1000);
	bf_log(BF_LOG_WARN, "price_sync_failed", "url=%s reason=%s effect=%s",
	       bf_log_quote(shown(p->url, url)), bf_log_quote(why),
	       bf_log_quote("prices stay as they are, and it is tried again"));
	answer_all(p, 502, "price_sync_failed", why);
	ended(p);
}

/* ---- telling writerd */

static void tell(struct price_sync *p, uint16_t type, const void *message, int fd)
{
	static uint32_t last_request;
	struct bf_frame f = {.type = type,
			     .source = p->child->endpoint,
			     .target = BF_ENDPOINT(BF_ROLE_WRITERD, 0),
			     .fd = fd};
	struct bf_buf body;
	int r;

	last_request = last_request + 1 ? last_request + 1 : 1;
	f.request = p->request = last_request;
	p->state = PRICE_SYNC_TOLD;
	p->not_before_ms = bf_mono_ms() + TOLD_LIMIT_MS;
	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	r = bf_msg_encode(type, message, &body);
	if (r == 0) {
		f.body = bf_buf_slice(&body);
		r = bf_channel_send(&p->child->channel, &f);
	}
	bf_buf_done(&body);
	if (r < 0)
		fail(p, "writerd cannot be told");
}

static void tell_fresh(struct price_sync *p)
{
	const struct bf_msg_price_fresh m = {bf_slice_from(p->url)};

	p->told = (struct bf_msg_price_sheet){.models = 0};
	tell(p, BF_MSG_PRICE_FRESH, &m, -1);
}

static int pack(const struct bf_conf_sheet *sheet, struct bf_buf *out)
{
	const struct bf_conf_sheet_price *items = sheet->entries.items;
	uint32_t taken, done = 0;
	int r = 0;

	while (r == 0 && done < sheet->entries.count) {
		r = bf_price_pack(items + done, sheet->entries.count - done, out, &taken);
		done += taken;
	}
	return r;
}

static void tell_sheet(struct price_sync *p, const struct bf_conf_sheet *sheet)
{
	struct bf_buf bytes;
	int r, fd;

	bf_buf_init(&bytes, BF_PRICE_PIECES_MAX * BF_PRICE_PIECE_BYTES);
	r = pack(sheet, &bytes);
	fd = r < 0 ? r
		   : bf_memfd_sealed("price-sheet", bytes.data + bytes.start, bf_buf_len(&bytes));
	(void)snprintf(p->date, sizeof(p->date), "%.*s", BF_SLICE_FMT(sheet->date));
	p->told = (struct bf_msg_price_sheet){.url = bf_slice_from(p->url),
					      .etag = bf_slice_from(p->etag),
					      .date = bf_slice_from(p->date),
					      .models = sheet->models,
					      .skipped = sheet->skipped,
					      .size = bf_buf_len(&bytes),
					      .accept_smaller = p->accept_smaller};
	bf_buf_done(&bytes);
	if (fd < 0) {
		fail(p, bf_err_text(fd));
		return;
	}
	tell(p, BF_MSG_PRICE_SHEET, &p->told, fd);
	(void)close(fd);
}

/* ---- reading it */

static void take_document(struct price_sync *p, struct bf_slice text)
{
	struct bf_conf_sheet sheet;
	struct bf_arena arena;
	struct bf_err err = {0};

	bf_arena_init(&arena, SHEET_ARENA_BYTES);
	if (text.len && !bf_utf8_valid(text.ptr, text.len))
		fail(p, "the sheet is not UTF-8 text");
	else if (bf_price_sheet_read(text, &arena, &sheet, &err) < 0)
		fail(p, err.text);
	else if (sheet.models == 0)
		fail(p, "the sheet has no model with a price");
	else
		tell_sheet(p, &sheet);
	bf_arena_done(&arena);
}

static void on_fetched(void *owner, const struct bf_fetched *got)
{
	struct price_sync *p = owner;

	if (got->code < 0) {
		fail(p, got->why);
	} else if (got->http_status == 304) {
		tell_fresh(p);
	} else {
		(void)snprintf(p->etag, sizeof(p->etag), "%s", got->etag);
		take_document(p, got->body);
	}
}

static int read_whole(int fd, struct bf_buf *out)
{
	for (;;) {
		int r = bf_buf_reserve(out, 65536);
		ssize_t n = r < 0 ? 0 : read(fd, out->data + out->end, 65536);

		if (r < 0)
			return -EFBIG;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		out->end += (size_t)n;
	}
}

/* What a file has in the place of a tag. */
static int tag_file(int fd, char out[BF_FETCH_ETAG_MAX + 1])
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	(void)snprintf(out, BF_FETCH_ETAG_MAX + 1, "\"%lld-%lld.%09ld-%llu\"",
		       (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		       (unsigned long long)st.st_ino);
	return 0;
}

static void read_file(struct price_sync *p)
{
	int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r = fd < 0 ? -errno : tag_file(fd, p->etag);
	bool same = r == 0 && strcmp(p->etag, p->asked_etag) == 0;
	struct bf_buf text;

	bf_buf_init(&text, PRICE_SYNC_MAX_BYTES);
	if (r == 0 && !same)
		r = read_whole(fd, &text);
	if (fd >= 0)
		(void)close(fd);
	if (r < 0)
		fail(p, bf_err_text(r));
	else if (same)
		tell_fresh(p);
	else
		take_document(p, bf_buf_slice(&text));
	bf_buf_done(&text);
}

/* ---- beginning */

static bool reads_whole(const struct bf_snapshot *s)
{
	struct bf_array entries;
	struct bf_arena arena;
	int r;

	bf_arena_init(&arena, 64u << 20);
	r = bf_snapshot_prices(s, &arena, &entries, NULL);
	bf_arena_done(&arena);
	return r == 0 && entries.count > 0;
}

/* Can workers use what is stored, to the last entry? A sheet that they can is read once. */
static bool is_whole(struct price_sync *p, const struct bf_snapshot *s)
{
	uint64_t mark = bf_snapshot_price_mark(s);

	if (mark && mark != p->whole_mark)
		p->whole_mark = reads_whole(s) ? mark : 0;
	return mark && mark == p->whole_mark;
}

/* The head of the sheet in force that is of our address. */
static bool head_of(const struct price_sync *p, const struct bf_snapshot *s, struct bf_arena *arena,
		    struct bf_price_piece *ret_head)
{
	return bf_snapshot_price_head(s, arena, ret_head) && bf_slice_is(ret_head->url, p->url);
}

static void begin(struct price_sync *p, const struct bf_snapshot *s)
{
	const struct bf_fetch what = {.url = p->url,
				      .etag = p->asked_etag,
				      .max_bytes = PRICE_SYNC_MAX_BYTES,
				      .limit_ms = PRICE_SYNC_LIMIT_MS,
				      .redirects = PRICE_SYNC_REDIRECTS,
				      .done = on_fetched,
				      .owner = p};
	struct bf_price_piece head;
	struct bf_arena arena;
	uint64_t dice;

	bf_arena_init(&arena, HEAD_ARENA_BYTES);
	p->asked_etag[0] = '\0';
	p->told = (struct bf_msg_price_sheet){.models = 0};
	/* A tag is told only when what it stands for is there. */
	if (head_of(p, s, &arena, &head) && is_whole(p, s))
		(void)snprintf(p->asked_etag, sizeof(p->asked_etag), "%.*s",
			       BF_SLICE_FMT(head.etag));
	bf_arena_done(&arena);
	bf_rand_bytes(&dice, sizeof(dice));
	p->jitter_ms =
	    dice % (uint64_t)(p->child->config.pricing.pricing_sync_interval_ms / JITTER_PART);
	p->state = PRICE_SYNC_FETCHES;
	if (p->path)
		read_file(p);
	else if (bf_fetch_begin(p->fetcher, &what) < 0)
		fail(p, "no memory to fetch it");
}

bool price_sync_wants(struct price_sync *p, const struct bf_snapshot *s, int64_t now_ms)
{
	struct bf_price_piece head;
	struct bf_arena arena;
	bool due;

	bf_arena_init(&arena, HEAD_ARENA_BYTES);
	due = !head_of(p, s, &arena, &head) || !is_whole(p, s) ||
	      price_sync_is_due(now_ms, head.checked_ms,
				p->child->config.pricing.pricing_sync_interval_ms,
				(int64_t)p->jitter_ms);
	bf_arena_done(&arena);
	return due;
}

void price_sync_second(struct price_sync *p)
{
	const struct bf_snapshot *s = bf_snapshot_held(p->snapshots, shm_generation(p->seg));
	const struct price_answer later = {.http_status = 202,
					   .text = "the price sheet is still being fetched"};

	price_askers_answer(&p->askers, p->child, bf_mono_ms() - PRICE_SYNC_PATIENCE_S * 1000,
			    &later);
	if (p->state == PRICE_SYNC_TOLD && bf_mono_ms() > p->not_before_ms)
		fail(p, "writerd did not answer");
	if (p->url && p->refusal.code == 0 && s && p->state == PRICE_SYNC_IDLE &&
	    bf_mono_ms() >= p->not_before_ms && price_sync_wants(p, s, bf_wall_ms()))
		begin(p, s);
}

/* ---- messages */

/* That a sheet may be smaller was said while writerd looked at one of which it was not: it is
 * handed over anew. Whoever asked waits for that. */
static bool is_accepted_since(const struct price_sync *p, int64_t code)
{
	return code == BF_E_DENIED && p->accept_smaller && !p->told.accept_smaller;
}

void price_sync_answered(struct price_sync *p, uint32_t request, int64_t code, struct bf_slice text)
{
	const struct bf_snapshot *s = bf_snapshot_held(p->snapshots, shm_generation(p->seg));

	if (p->state != PRICE_SYNC_TOLD || request != p->request)
		return;
	if (s && is_accepted_since(p, code))
		begin(p, s);
	else if (code == 0)
		succeed(p, p->told.models ? "the price sheet is in force"
					  : "the price sheet has not changed");
	else
		fail(p, text.ptr ? text.ptr : "");
}

static const char *refusal_of(const struct price_sync *p)
{
	if (!p->url)
		return "framework.pricing.pricing_url is not set: there is nothing to fetch";
	return p->refusal.code ? p->refusal.text : NULL;
}

void price_sync_ask(struct price_sync *p, const struct bf_frame *f,
		    const struct bf_msg_price_sync *m)
{
	const struct bf_snapshot *s = bf_snapshot_held(p->snapshots, shm_generation(p->seg));
	const char *no = refusal_of(p);

	if (!price_askers_add(&p->askers, p->child, f))
		return;
	if (no)
		answer_all(p, 409, "price_sync_off", no);
	else if (!s)
		answer_all(p, 503, "governance_not_loaded", "nothing is in force yet: try again");
	if (no || !s)
		return;
	p->accept_smaller |= m->accept_smaller;
	if (p->state == PRICE_SYNC_IDLE)
		begin(p, s);
}

void price_sync_cancelled(struct price_sync *p, uint16_t asker, uint32_t request)
{
	price_askers_forget(&p->askers, asker, request);
}

void price_sync_status(const struct price_sync *p, struct bf_array *items, struct bf_arena *arena)
{
	static const char *const states[] = {"idle", "fetching", "handing over"};
	const char *no = refusal_of(p);

	bf_status_add(items, arena, "price_sync", "%s", no ? no : states[p->state]);
	if (no)
		return;
	bf_status_add(items, arena, "price_syncs", "%" PRIu64, p->synced);
	bf_status_add(items, arena, "price_sync_failures", "%" PRIu64, p->failed);
	if (p->last_error[0])
		bf_status_add(items, arena, "price_sync_last_error", "%s", p->last_error);
}

/* ---- life */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %20 and the like. */
static void decode_path(char *path)
{
	char *to = path;

	for (const char *at = path; *at; to++) {
		int high = at[0] == '%' && at[1] ? hex(at[1]) : -1;
		int low = high >= 0 ? hex(at[2]) : -1;

		*to = low >= 0 && high + low > 0 ? (char)(high * 16 + low) : *at;
		at += low >= 0 && high + low > 0 ? 3 : 1;
	}
	*to = '\0';
}

static int open_source(struct price_sync *p, struct bf_err *err)
{
	static const char file[] = "file://";
	struct bf_fetcher_options options = {.user_agent = "bifrost"};
	char *path;

	if (strncmp(p->url, file, sizeof(file) - 1) != 0)
		return bf_fetcher_new(&options, &p->fetcher, err);
	path = bf_arena_printf(&p->child->arena, "%s", p->url + sizeof(file) - 1);
	if (!path)
		return bf_err_sys(err, -ENOMEM, "framework.pricing.pricing_url");
	decode_path(path);
	p->path = path;
	return 0;
}

void price_sync_open(struct price_sync *p, struct bf_child *child, struct shm_segment *seg,
		     struct bf_snapshot_holder *snapshots)
{
	struct bf_slice url = child->config.pricing.pricing_url;

	*p = (struct price_sync){.child = child, .seg = seg, .snapshots = snapshots};
	if (url.len == 0)
		return;
	p->url = url.ptr;
	if (open_source(p, &p->refusal) < 0)
		bf_log(BF_LOG_ERROR, "price_sync_off", "reason=%s", bf_log_quote(p->refusal.text));
}

bool price_sync_needs(struct price_sync *p, struct bf_sandbox_path *ret_rule)
{
	*ret_rule = (struct bf_sandbox_path){NULL, 0};
	if (p->path && p->refusal.code == 0)
		(void)paths_allow(p->child, p->path, "framework.pricing.pricing_url", BF_PATH_READ,
				  ret_rule, &p->refusal);
	return p->fetcher != NULL;
}

void price_sync_start(struct price_sync *p)
{
	if (p->fetcher)
		bf_fetcher_start(p->fetcher, p->child->loop);
}

void price_sync_stop(struct price_sync *p)
{
	answer_all(p, 503, "api_unavailable", "the reader is being replaced: ask again");
	bf_fetcher_free(p->fetcher);
	p->fetcher = NULL;
	p->url = NULL;
}
