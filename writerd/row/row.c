/*
 * Usage record to row. Called by store.c for each record of a transaction; must never fail and
 * never trust a length or a text that a worker wrote into the segment.
 */
#include "writerd/row/row.h"

#include <string.h>
#include <time.h>

#include "common/base/error_class.h"
#include "common/base/macros.h"
#include "common/codec/json_writer.h"
#include "common/govern/plan.h"
#include "shm/content.h"

#define ERROR_WORDS sizeof(((struct shm_usage_refusal *)0)->text)

_Static_assert(ERROR_WORDS >= sizeof(((struct shm_usage_record *)0)->error_text),
	       "either text fits");

void row_scratch_init(struct row_scratch *s)
{
	bf_buf_init(&s->input, SHM_CONTENT_MAX_BYTES);
	bf_buf_init(&s->output, SHM_CONTENT_MAX_BYTES);
}

void row_scratch_done(struct row_scratch *s)
{
	bf_buf_done(&s->input);
	bf_buf_done(&s->output);
}

/* Digits from the right, so that no value can write beyond its field. */
static void put_digits(char *at, size_t width, long value)
{
	while (width > 0) {
		at[--width] = (char)('0' + value % 10);
		value /= 10;
	}
}

const char *row_time(int64_t wall_ns, char out[ROW_TIME_LEN + 1])
{
	const int64_t last_ns =
	    INT64_C(9223372036) * 1000000000; /* the year 2262, where int64_t ends */
	int64_t ns = wall_ns < 0 ? 0 : (wall_ns > last_ns ? last_ns : wall_ns);
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm = {0};

	(void)gmtime_r(&seconds, &tm);
	memcpy(out, "0000-00-00T00:00:00.000Z", ROW_TIME_LEN + 1);
	put_digits(out, 4, tm.tm_year + 1900L);
	put_digits(out + 5, 2, tm.tm_mon + 1L);
	put_digits(out + 8, 2, tm.tm_mday);
	put_digits(out + 11, 2, tm.tm_hour);
	put_digits(out + 14, 2, tm.tm_min);
	put_digits(out + 17, 2, tm.tm_sec);
	put_digits(out + 20, 3, (long)(ns / 1000000 % 1000));
	return out;
}

size_t row_untorn(const char *text, size_t len)
{
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = (unsigned char)text[len - back];
		size_t want = c >= 0xf0 ? 4 : (c >= 0xe0 ? 3 : (c >= 0xc0 ? 2 : 1));

		if (c >= 0x80 && c < 0xc0)
			continue;
		return want > back ? len - back : len;
	}
	return len;
}

struct bf_slice row_text_cut(struct bf_slice text, size_t most)
{
	if (text.len > most)
		text.len = row_untorn(text.ptr, most);
	return text;
}

/* out has len + 1 bytes. */
static void copy_field(char *out, const char *field, size_t len)
{
	size_t n;

	memcpy(out, field, len);
	out[len] = '\0';
	n = row_untorn(out, strlen(out));
	out[n] = '\0';
}

static struct bf_slice clean(struct bf_slice in, struct bf_buf *scratch)
{
	const char *at = in.ptr, *end, *nul;

	if (!in.ptr)
		return in;
	if (in.len > SHM_CONTENT_MAX_BYTES)
		in.len = SHM_CONTENT_MAX_BYTES;
	if (!memchr(in.ptr, '\0', in.len)) {
		in.len = row_untorn(in.ptr, in.len);
		return in;
	}
	bf_buf_clear(scratch);
	for (end = in.ptr + in.len; at < end; at = nul + 1) {
		nul = memchr(at, '\0', (size_t)(end - at));
		if (!nul)
			nul = end;
		if (bf_buf_append(scratch, at, (size_t)(nul - at)) < 0)
			return (struct bf_slice){NULL, 0};
	}
	in = bf_buf_slice(scratch);
	if (!in.ptr)
		return BF_SLICE_LIT("");
	in.len = row_untorn(in.ptr, in.len);
	return in;
}

static int64_t to_i64(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static int64_t not_negative(int64_t n)
{
	return n < 0 ? 0 : n;
}

/* Whose limit, and which: as the limit is called in the API. */
static void write_blame(struct bf_json_writer *w, const struct shm_usage_blame *blame)
{
	const char *quantity = bf_quantity_name((enum bf_quantity)blame->quantity);
	char owner_id[sizeof(blame->owner_id) + 1], limit_id[sizeof(blame->limit_id) + 1];

	bf_jw_key(w, "refused_by");
	bf_jw_object(w);
	if (blame->owner > 0 && blame->owner <= BF_OWNER_COUNT) {
		copy_field(owner_id, blame->owner_id, sizeof(blame->owner_id));
		bf_jw_key(w, "owner");
		bf_jw_cstr(w, bf_owner_name((enum bf_owner)(blame->owner - 1)));
		bf_jw_key(w, "owner_id");
		bf_jw_cstr(w, owner_id);
	}
	copy_field(limit_id, blame->limit_id, sizeof(blame->limit_id));
	if (limit_id[0] && quantity) {
		bf_jw_key(w, "limit_id");
		bf_jw_cstr(w, limit_id);
		bf_jw_key(w, "quantity");
		bf_jw_cstr(w, quantity);
	}
	bf_jw_end_object(w);
}

/* A refusal has room for longer words. */
static void error_words(const struct shm_usage_record *record, char out[ERROR_WORDS + 1])
{
	if (record->flags & SHM_USAGE_REFUSED)
		copy_field(out, record->refusal.text, sizeof(record->refusal.text));
	else
		copy_field(out, record->error_text, sizeof(record->error_text));
}

static void render_error(const struct shm_usage_record *record, struct row *row)
{
	char type[sizeof(record->error_type) + 1];
	char text[ERROR_WORDS + 1];
	struct bf_json_writer w;
	struct bf_buf out;
	struct bf_slice json;

	copy_field(type, record->error_type, sizeof(record->error_type));
	error_words(record, text);
	row->error_type = NULL;
	if (record->status != SHM_USAGE_SUCCESS)
		row->error_type = bf_error_class_name(
		    bf_error_class_of(record->http_status, type[0] ? type : NULL, NULL));
	row->error_details[0] = '\0';
	if (!type[0] && !text[0])
		return;
	bf_buf_init(&out, ROW_ERROR_MAX - 1);
	bf_jw_init(&w, &out);
	bf_jw_object(&w);
	bf_jw_key(&w, "type");
	bf_jw_cstr(&w, type);
	bf_jw_key(&w, "message");
	bf_jw_cstr(&w, text);
	if (record->flags & SHM_USAGE_REFUSED)
		write_blame(&w, &record->refusal.blame);
	bf_jw_end_object(&w);
	json = bf_buf_slice(&out);
	if (bf_jw_finish(&w) == 0 && json.len < sizeof(row->error_details)) {
		memcpy(row->error_details, json.ptr, json.len);
		row->error_details[json.len] = '\0';
	}
	bf_buf_done(&out);
}

static void render_numbers(const struct shm_usage_record *record, struct row *row)
{
	uint64_t prompt = record->prompt_tokens, completion = record->completion_tokens;
	uint64_t total = prompt + completion;

	row->number_of_retries = record->attempts > 0 ? (int64_t)record->attempts - 1 : 0;
	row->fallback_index = record->fallback_index;
	row->http_status = record->http_status;
	row->worker = record->worker;
	row->proc_slot = record->proc_slot % SHM_PROC_SLOTS;
	row->latency_us = not_negative(record->latency_us);
	row->first_byte_us = not_negative(record->first_byte_us);
	row->prompt_tokens = to_i64(prompt);
	row->completion_tokens = to_i64(completion);
	row->total_tokens = total < prompt ? INT64_MAX : to_i64(total);
	row->cached_tokens = to_i64(record->cached_tokens);
	row->cost_nusd = not_negative(record->cost_nusd);
	row->charged_tokens = to_i64(record->tokens_charged);
	row->charged_requests = record->requests_charged;
}

static void render_owners(const struct shm_usage_record *record, struct row *row)
{
	copy_field(row->virtual_key_id, record->virtual_key_id, sizeof(record->virtual_key_id));
	copy_field(row->team_id, record->team_id, sizeof(record->team_id));
	copy_field(row->customer_id, record->customer_id, sizeof(record->customer_id));
	copy_field(row->virtual_key_name, record->virtual_key_name,
		   sizeof(record->virtual_key_name));
	row->team_name = row->customer_name = (struct bf_slice){NULL, 0};
}

/* Whether it was a stream is a column of its own. */
static const char *object_name(unsigned object)
{
	static const char *const names[] = {
	    [SHM_OBJECT_CHAT] = "chat.completion",
	    [SHM_OBJECT_COMPLETION] = "text.completion",
	    [SHM_OBJECT_EMBEDDING] = "embedding",
	    [SHM_OBJECT_RESPONSES] = "response",
	};

	return object < BF_ARRAY_LEN(names) && names[object] ? names[object] : "unknown";
}

void row_render(const struct shm_usage_record *record, struct bf_slice input,
		struct bf_slice output, struct row_scratch *scratch, struct row *ret_row)
{
	struct row *row = ret_row;
	uint32_t flags = record->flags;
	struct bf_uuid id;

	memcpy(id.bytes, record->id, sizeof(id.bytes));
	bf_uuid_format(&id, row->id);
	(void)row_time(record->started_wall_ns, row->timestamp);
	row->stream = flags & SHM_USAGE_STREAM;
	row->crashed = flags & SHM_USAGE_CRASHED;
	row->estimated = flags & SHM_USAGE_ESTIMATED;
	row->truncated = flags & SHM_USAGE_TRUNCATED;
	row->client_gone = flags & SHM_USAGE_CLIENT_GONE;
	row->object_type = object_name(record->object_type);
	row->status = record->status == SHM_USAGE_SUCCESS ? "success" : "error";
	copy_field(row->provider, record->provider, sizeof(record->provider));
	copy_field(row->model, record->model, sizeof(record->model));
	copy_field(row->key_name, record->key_name, sizeof(record->key_name));
	copy_field(row->key_id, record->key_id, sizeof(record->key_id));
	copy_field(row->stop_reason, record->stop_reason, sizeof(record->stop_reason));
	copy_field(row->request_id, record->request_id, sizeof(record->request_id));
	copy_field(row->parent_id, record->parent_id, sizeof(record->parent_id));
	render_owners(record, row);
	row->attempt_trail[0] = '\0';
	if (!(flags & SHM_USAGE_REFUSED))
		copy_field(row->attempt_trail, record->attempt_trail,
			   sizeof(record->attempt_trail));
	render_numbers(record, row);
	render_error(record, row);
	row->input = clean(input, &scratch->input);
	row->output = clean(output, &scratch->output);
	row->content_truncated =
	    (flags & SHM_USAGE_CONTENT_CUT) && (row->input.ptr || row->output.ptr);
}
