/*
 * Header lines of an upstream's answer that are passed on to the client, gathered while they are
 * parsed. Pure; pieces of any size.
 */
#pragma once

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/slice.h"

#define UPSTREAM_LINES_MAX   64u        /* further ones are left out */
#define UPSTREAM_LINES_BYTES (8u << 10) /* what would go beyond is left out, line by line */

/* Zeroed: keeps nothing, for want of an arena. */
struct upstream_lines {
	struct bf_arena *arena;
	char *text; /* "Name: value" CRLF ... */
	size_t len, size;
	size_t begin; /* of the line being read */
	unsigned count;
	bool in_value, skipped;
	bool connection; /* the line being read is of that name, */
	bool names;      /* and names others: it is kept until the end, to be looked up */
	bool named;      /* there is such a line */
	bool barred;     /* there was one that could not be kept: nothing is passed on */
};

/* A piece of a name, a piece of its value, the end of the line. */
void upstream_lines_name(struct upstream_lines *l, const char *at, size_t len);
void upstream_lines_value(struct upstream_lines *l, const char *at, size_t len);
void upstream_lines_end(struct upstream_lines *l);
/* The three at once, of a line that is no Connection with names of others. */
void upstream_lines_add(struct upstream_lines *l, struct bf_slice name, struct bf_slice value);
/* Before its end: the line being read is a Connection that names others, which are of this hop. */
void upstream_lines_names(struct upstream_lines *l);
/* An interim answer's lines are nobody's: begins anew, in the same memory. */
void upstream_lines_restart(struct upstream_lines *l);
/* The section is complete: what is passed on, in the arena. */
struct bf_slice upstream_lines_done(struct upstream_lines *l);

/* May an answer's header of this name be passed on? Of one hop, of the body, or ours: no. */
bool upstream_lines_passes(struct bf_slice name);
