/* What the stress programs of shm/ share: random numbers, records that carry their own check, a
 * fresh segment. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/killpoint.h"
#include "shm/segment.h"
#include "shm/usage.h"

#ifndef SHM_TORTURE
#error "these programs link the torture build of shm/"
#endif

/* xorshift64*: the run is repeatable from its seed, as far as the scheduler lets it be. */
static inline uint64_t torture_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static inline uint64_t torture_below(uint64_t *state, uint64_t n)
{
	return (torture_random(state) >> 16) % n;
}

/* Prints "FAIL: file:line: text" and exits 1: from a child too. */
#define TORTURE_CHECK(cond, ...)                                              \
	do {                                                                  \
		if (!(cond))                                                  \
			torture_fail(__FILE__, __LINE__, #cond, __VA_ARGS__); \
	} while (0)

void torture_fail(const char *file, int line, const char *cond, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 4, 5)));

/* A segment in a memfd, attached; the descriptor is returned. */
int torture_segment(struct shm_segment *ret_seg);

/* Record number n; every field follows from it. */
void torture_record(uint64_t n, struct shm_usage_record *ret_record);
/* Its number, after a check of the fields that the sweep does not change. */
uint64_t torture_number(const struct shm_usage_record *r);

/* The record as its attempt number k goes on with a key of its own; torture_number checks that too.
 */
void torture_rekey(uint64_t n, uint32_t k, struct shm_usage_record *ret_record);

/* Body of request n: length and bytes follow from it. */
#define TORTURE_BODY_MAX 9000u
size_t torture_body(uint64_t n, uint8_t *bytes);
/* Whether bytes are the body of n. */
bool torture_body_is(uint64_t n, const uint8_t *bytes, size_t len);

/* Fails unless each kill point that stands in a source file was passed. */
void torture_points_of(const char *path, bool (*is_passed)(const char *name));
