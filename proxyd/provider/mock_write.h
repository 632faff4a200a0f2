/* What the mock provider answers, in the shapes of the OpenAI API. Pure. */
#pragma once

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "shm/usage.h"

#define MOCK_ID_MAX        64u
#define MOCK_DIMENSIONS    8u /* of a vector, when the request names none */
#define MOCK_DIMENSION_MAX 4096u

struct mock_words {
	enum shm_usage_object object;
	char id[MOCK_ID_MAX]; /* without its prefix */
	int64_t created_s;
	struct bf_slice model;
	uint64_t prompt_tokens, completion_tokens;
	uint64_t sequence; /* events of a responses stream so far */
};

/*
 * All append to out and return 0, BF_E_LIMIT or -ENOMEM. An event is whole; those with ret_json
 * tell where its data lies (valid until out changes).
 */
/* A plain answer that says reply. */
int mock_write_answer(struct bf_buf *out, struct mock_words *w, struct bf_slice reply);
/* The events before the first word. */
int mock_write_begin(struct bf_buf *out, struct mock_words *w);
int mock_write_piece(struct bf_buf *out, struct mock_words *w, struct bf_slice piece);
/* What a responses stream says between the last word and its last event; else nothing. */
int mock_write_closing(struct bf_buf *out, struct mock_words *w, struct bf_slice reply);
/* The event that says why it stopped; and the one that only says the numbers. */
int mock_write_final(struct bf_buf *out, struct mock_words *w, struct bf_slice reply,
		     struct bf_slice *ret_json);
int mock_write_usage(struct bf_buf *out, struct mock_words *w, struct bf_slice *ret_json);

/* Embeddings, vector by vector: texts[i] decides its numbers. */
int mock_write_vectors(struct bf_buf *out, const struct mock_words *w, const struct bf_slice *texts,
		       size_t count, uint64_t dimensions, bool base64);
