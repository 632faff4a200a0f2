/* Virtual keys: which one a request carries, and whose it is. */
#pragma once

#include "common/govern/plan.h"
#include "proxyd/exchange.h"

/* The keys of a plan by their values. A value is found by a hash that only this process knows. */
struct vkey_table {
	uint8_t secret[16];
	const struct bf_plan *plan;
	uint32_t *slots; /* index + 1, linear probing; 0: free */
	uint32_t slot_count;
};

/* 0 or -ENOMEM. The plan must outlive it. */
int vkey_open(struct vkey_table *t, const struct bf_plan *plan) BF_MUST_CHECK;
/* Accepts a zeroed table. */
void vkey_close(struct vkey_table *t);

/*
 * The value of the key that a request carries, empty when there is none: x-bf-vk, which may be of
 * any form; else Authorization (Bearer), x-api-key, x-goog-api-key, api-key, in this order, where
 * it begins with "sk-bf-". A secret: never shown, never passed on.
 */
struct bf_slice vkey_given(const struct exchange *x);

/* NULL: nobody's. */
const struct bf_plan_key *vkey_find(const struct vkey_table *t, struct bf_slice value);
