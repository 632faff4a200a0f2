/*
 * How an answer is to be, said by the model's name: `NAME;key=value;...`. It passes through a
 * gateway unchanged, so that a client scripts the provider behind it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/slice.h"

enum script_body {
	SCRIPT_BODY_JSON,
	SCRIPT_BODY_TEXT,
	SCRIPT_BODY_EMPTY,
	SCRIPT_BODY_COUNT,
};

enum script_usage {
	SCRIPT_USAGE_RIGHT,
	SCRIPT_USAGE_NONE,
	SCRIPT_USAGE_WRONG,  /* negative and fractional numbers */
	SCRIPT_USAGE_LATE,   /* a stream: after [DONE] */
	SCRIPT_USAGE_STRING, /* the numbers as strings */
	SCRIPT_USAGE_COUNT,
};

#define SCRIPT_NEVER  (-1) /* of an offset */
#define SCRIPT_KEYS   8
#define SCRIPT_STATUS 999 /* largest */

struct script_key {
	struct bf_slice key; /* whole bearer token */
	int64_t status;
};

struct script {
	int64_t status;        /* 0: 200, or 500 for what fail_first fails */
	int64_t retry_after_s; /* -1: no such header */
	int64_t events;        /* words of the answer; 0: of size */
	int64_t prompt_tokens; /* -1: words_prompt_tokens of the user */
	int64_t size_bytes;    /* text of a plain answer; numbers of an embedding; 0: of events */
	int64_t event_words;   /* in each event of a stream, the last may have fewer; 0: one */
	int64_t event_bytes;   /* a stream's event, its words padded; 0: as it comes */
	int64_t interval_ms;   /* between events */
	int64_t latency_ms;    /* before the first byte */
	int64_t trickle_bytes; /* per 10 ms; 0: as fast as it goes */
	int64_t stall_at;      /* offsets count all bytes of the answer, its head included */
	int64_t cut, rst, halfclose;
	int64_t fail_first; /* requests of one user that fail */
	int64_t done;       /* 0: a stream without its terminal event */
	int64_t garbage;    /* 1: the answer is not HTTP */
	int64_t endless;    /* 1: header lines for ever */
	int64_t chunked;    /* 1: also plain answers; 0: streams end with the connection; -1 */
	int64_t echo;       /* 1: a plain answer's text is the last message's */
	int64_t body;       /* enum script_body */
	int64_t usage;      /* enum script_usage */
	int64_t cached, written, written_1hr, searches; /* of the usage; 0: not told */
	int64_t heard, spoken, thought;                 /* the same */
	int64_t cost_nusd;                              /* the same */
	int64_t tier;                                   /* index into script_tiers */
	struct script_key keys[SCRIPT_KEYS];
	uint32_t key_count;
};

/* service_tier of an answer; the first: it says none. */
extern const char *const script_tiers[];

/* What holds when nothing is said. */
extern const struct script script_default;

/*
 * Reads what follows the first ';' over a copy of base. 0, or BF_E_SYNTAX and a line that names the
 * key; slices refer to model.
 */
int script_parse(struct bf_slice model, const struct script *base, struct script *ret_script,
		 struct bf_err *err);
