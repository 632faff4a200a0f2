/*
 * Counters by provider, model and method: a table of names that all workers of the node share, and
 * numbers of which each process slot has its own. Like those of metrics.h they belong to the slot's
 * identity and are never set back. The table is bounded, because clients choose names: what finds
 * no place is counted in one series for the rest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

#define SHM_SERIES         256u
#define SHM_SERIES_REST    (SHM_SERIES - 1u) /* counts what has no place; has no name */
#define SHM_SERIES_NUMBERS 8u                /* room in a shard */

enum shm_series_number {
	SHM_SERIES_ATTEMPTS, /* calls to the provider */
	SHM_SERIES_OK,       /* rows that ended well */
	SHM_SERIES_FAILED,
	SHM_SERIES_INPUT, /* tokens */
	SHM_SERIES_OUTPUT,
	SHM_SERIES_NUMBER_COUNT,
};

/* As long as the fields of a usage record; texts are followed by zeros up to their field's end. */
#define SHM_SERIES_PROVIDER_BYTES 32u
#define SHM_SERIES_MODEL_BYTES    96u

struct shm_series_name {
	char provider[SHM_SERIES_PROVIDER_BYTES];
	char model[SHM_SERIES_MODEL_BYTES];
};

/*
 * The series of this name with this method, a number of the caller's. make: takes a place for a new
 * one when there is any. SHM_SERIES_REST when it has none. May be killed anywhere; of several
 * workers at once each gets the same answer.
 */
uint32_t shm_series_find(struct shm_segment *seg, const struct shm_series_name *name,
			 uint32_t method, bool make);

struct shm_series_row {
	bool is_ok;
	int64_t attempts, input_tokens, output_tokens; /* none is negative */
};

/* Holder of p only. */
void shm_series_add(struct shm_segment *seg, uint32_t p, uint32_t series,
		    const struct shm_series_row *row);

/* False: nobody has it. Never true for SHM_SERIES_REST. */
bool shm_series_name(const struct shm_segment *seg, uint32_t series,
		     struct shm_series_name *ret_name, uint32_t *ret_method);
/* Over all slots; never steps back. */
int64_t shm_series_sum(const struct shm_segment *seg, uint32_t series,
		       enum shm_series_number number);
