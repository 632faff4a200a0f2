/*
 * What a row's request cost, and what its meters are charged for it: the same numbers in the row,
 * in the in-flight entry, and in the meters.
 */
#pragma once

#include "proxyd/exchange.h"

/* A provider may say anything: what cannot be a count of tokens is none, so that no number of its
 * turns a sum back. */
uint64_t charge_tokens(uint64_t n);
/*
 * The row is complete but for its charges: fills them in, and stores them in the entry, from where
 * a sweep would take them for row and meters alike. counts: the request was served, so it counts as
 * one. What was not, and took nothing, costs nothing; nor does what x->governed says nothing of.
 */
void charge_row(struct exchange *x, bool counts);
/* The row was pushed: the meters are settled. Only while x->spend.metered, which ends here. */
void charge_settle(struct exchange *x);
