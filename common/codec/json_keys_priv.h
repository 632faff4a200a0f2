/* Duplicate keys of the objects on a tape. Private to common/codec. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/codec/json_tape.h"

/*
 * Compares all pairs of keys of a small object: the token of the second of two equal keys, or
 * BF_JSON_NONE. An escaped key cannot be compared as it stands: then *io_undecided is set and the
 * object is left to bf_json_keys_hashed.
 */
uint32_t bf_json_keys_pairwise(const struct bf_json_tape *t, uint32_t obj, bool *io_undecided);

/*
 * Checks every object of a finished tape in time linear in the tape and its keys, whatever they
 * are: the hash has a random key. *ret_twin as above. 0 or -ENOMEM; the arena memory it takes is
 * given back where it was the newest.
 */
int bf_json_keys_hashed(const struct bf_json_tape *t, struct bf_arena *arena, uint32_t *ret_twin);
