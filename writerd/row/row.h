/* One row of the logs table, made from a usage record: pure, and the same for every kind of store.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/rand.h"
#include "common/base/slice.h"
#include "shm/usage.h"

#define ROW_TIME_LEN     24  /* 2026-11-21T10:00:00.123Z */
#define ROW_OWNER_ID_LEN 64  /* the loader takes no longer ones */
#define ROW_NAME_LEN     128 /* nor longer names */
#define ROW_PROVIDER_LEN 32
#define ROW_MODEL_LEN    96
#define ROW_ERROR_MAX    3072 /* its texts, every byte escaped, fit */

struct row {
	char id[BF_UUID_TEXT_LEN + 1];
	char timestamp[ROW_TIME_LEN + 1];
	const char *object_type, *status;
	bool stream, crashed, estimated, truncated, client_gone;
	bool content_truncated; /* input or output was longer */
	char provider[ROW_PROVIDER_LEN + 1], model[ROW_MODEL_LEN + 1], key_name[49], key_id[49];
	char stop_reason[25], request_id[129], parent_id[65]; /* "": none */
	char attempt_trail[321];                              /* JSON; "": none */
	int64_t number_of_retries, fallback_index, http_status, worker;
	uint32_t proc_slot;                /* below SHM_PROC_SLOTS */
	int64_t latency_us, first_byte_us; /* first_byte_us 0: there was none */
	int64_t prompt_tokens, completion_tokens, total_tokens, cached_tokens;
	int64_t cost_nusd;
	/* "": none */
	char virtual_key_id[ROW_OWNER_ID_LEN + 1], team_id[ROW_OWNER_ID_LEN + 1],
	    customer_id[ROW_OWNER_ID_LEN + 1];
	char virtual_key_name[ROW_NAME_LEN + 1];
	struct bf_slice team_name, customer_name; /* empty: not known */
	int64_t charged_tokens, charged_requests; /* what its meters were charged */
	const char *error_type; /* a class of common/base/error_class.h; NULL: no error */
	char error_details[ROW_ERROR_MAX]; /* JSON; "" when there was no error */
	struct bf_slice input, output;     /* ptr NULL: no content */
};

/* Bodies with NUL bytes are copied here without them; any other body is used where it lies. */
struct row_scratch {
	struct bf_buf input, output;
};

void row_scratch_init(struct row_scratch *s);
void row_scratch_done(struct row_scratch *s);

/*
 * Never fails, whatever the record holds: the worker that wrote it is not trusted. What its owners
 * are called stands in the configuration: owners_fill() says it afterwards. Texts are cut at
 * their first NUL and at a torn UTF-8 sequence, numbers are brought into range. input and output
 * may be empty (ptr NULL); the row refers to them or to the scratch until the next call.
 */
void row_render(const struct shm_usage_record *record, struct bf_slice input,
		struct bf_slice output, struct row_scratch *scratch, struct row *ret_row);

/* As a field of so many bytes holds it. */
struct bf_slice row_text_cut(struct bf_slice text, size_t most);

/* Length without a sequence that the last byte leaves unfinished: a text that was cut to its field.
 */
size_t row_untorn(const char *text, size_t len);

/* UTC, in milliseconds. Returns out. */
const char *row_time(int64_t wall_ns, char out[ROW_TIME_LEN + 1]);
