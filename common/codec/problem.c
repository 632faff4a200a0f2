/*
 * Error bodies of the management API. Called by whoever answers it: workers, writerd, the reader.
 * Must never be given a secret: what stands in a message is shown and logged.
 */
#include "common/codec/problem.h"

#include "common/base/macros.h"
#include "common/codec/json_writer.h"

static const struct {
	int http_status;
	const char *title;
} titles[] = {
    {400, "Bad Request"},       {401, "Unauthorized"},           {403, "Forbidden"},
    {404, "Not Found"},         {405, "Method Not Allowed"},     {409, "Conflict"},
    {413, "Content Too Large"}, {415, "Unsupported Media Type"}, {422, "Unprocessable Content"},
    {429, "Too Many Requests"}, {500, "Internal Server Error"},  {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

const char *bf_problem_title(int http_status)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(titles); i++) {
		if (titles[i].http_status == http_status)
			return titles[i].title;
	}
	return "Error";
}

static void pair(struct bf_json_writer *w, const char *key, struct bf_slice value)
{
	bf_jw_key(w, key);
	bf_jw_string(w, value);
}

static void write_error(struct bf_json_writer *w, const struct bf_problem *p)
{
	bf_jw_key(w, "error");
	bf_jw_object(w);
	pair(w, "type", bf_slice_from(p->type));
	pair(w, "message", p->message);
	if (p->param.len)
		pair(w, "param", p->param);
	bf_jw_end_object(w);
}

static void write_parts(struct bf_json_writer *w, const struct bf_problem *p)
{
	if (p->part_count == 0)
		return;
	bf_jw_key(w, "errors");
	bf_jw_array(w);
	for (size_t i = 0; i < p->part_count; i++) {
		bf_jw_object(w);
		pair(w, "pointer", p->parts[i].pointer);
		pair(w, "message", p->parts[i].message);
		bf_jw_end_object(w);
	}
	bf_jw_end_array(w);
}

static void write_detail(struct bf_json_writer *w, const struct bf_problem *p)
{
	bf_jw_key(w, "detail");
	bf_jw_object(w);
	pair(w, "type", bf_slice_from(p->type));
	pair(w, "title", bf_slice_from(bf_problem_title(p->http_status)));
	bf_jw_key(w, "status");
	bf_jw_i64(w, p->http_status);
	pair(w, "detail", p->message);
	if (p->instance.len)
		pair(w, "instance", p->instance);
	if (p->version) {
		bf_jw_key(w, "version");
		bf_jw_u64(w, p->version);
	}
	write_parts(w, p);
	bf_jw_end_object(w);
}

int bf_problem_write(const struct bf_problem *p, struct bf_buf *out)
{
	struct bf_json_writer w;

	bf_jw_init(&w, out);
	bf_jw_object(&w);
	pair(&w, "type", bf_slice_from(p->type));
	bf_jw_key(&w, "is_bifrost_error");
	bf_jw_bool(&w, true);
	bf_jw_key(&w, "status_code");
	bf_jw_i64(&w, p->http_status);
	write_error(&w, p);
	write_detail(&w, p);
	bf_jw_end_object(&w);
	return bf_jw_finish(&w);
}
