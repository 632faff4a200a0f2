/*
 * What the mock LLM writes and the load generator recognises: numbered words that carry a hash of
 * the request they answer, so that a word that is lost, doubled, or told to another client shows.
 * One word is one token: 4 hex digits of the hash, 5 digits of its number, padding, a space.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

#define WORD_WIDTH_MIN 10u

/* Hash of the client's id of a request ("user"); of an empty one 0. */
uint32_t words_hash(struct bf_slice user);

/* Prompt tokens of a request as the mock tells them: differs from request to request. */
uint64_t words_prompt_tokens(struct bf_slice user);

/* Writes word number n; width >= WORD_WIDTH_MIN bytes. */
void words_write(char *out, uint32_t width, uint32_t hash, uint64_t n);

/*
 * Counts the words of a text that may begin and end only at a word's edge. *next is the number that
 * must come next, and is moved on. False: a word is missing, doubled, cut or of another request.
 */
bool words_check(struct bf_slice text, uint32_t hash, uint64_t *next);
