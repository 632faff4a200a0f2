/*
 * The request that is sent again and again: bytes with holes of one width for its number, so that
 * sending is one system call and no formatting.
 */
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "tests/support/loadgen/options.h"

#define MESSAGE_DIGITS 10u
#define MESSAGE_HOLES  2u
#define MESSAGE_PARTS  (2 * MESSAGE_HOLES + 1)

struct message {
	struct bf_buf text;
	size_t holes[MESSAGE_HOLES]; /* offsets, ascending */
	uint32_t hole_count;
};

/* 0 or a negative code and a line. */
int message_build(struct message *m, const struct options *o, struct bf_err *err);
void message_done(struct message *m);
void message_digits(uint64_t number, char out[MESSAGE_DIGITS]);
/* The parts from offset `sent` on; returns how many. digits must live until they are sent. */
int message_parts(const struct message *m, const char digits[MESSAGE_DIGITS], size_t sent,
		  struct iovec parts[MESSAGE_PARTS]);
