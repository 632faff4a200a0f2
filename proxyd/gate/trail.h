/* The attempts of one row, as JSON: [["key name",429,12],["other key","upstream_timeout",3000]]. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "shm/usage.h"

struct trail {
	char text[sizeof(((struct shm_usage_record *)0)->attempt_trail)];
	uint32_t len;      /* without the closing bracket */
	uint32_t left_out; /* attempts that did not fit */
};

void trail_reset(struct trail *t);
/* key: name, may be empty. http_status above 0 wins over type, a name of ours. Once one did not
 * fit, later ones are counted only. */
void trail_add(struct trail *t, struct bf_slice key, int http_status, const char *type,
	       int64_t duration_ms);
static inline bool trail_is_empty(const struct trail *t)
{
	return t->len <= 1 && t->left_out == 0;
}
/* Writes it, terminated or filling the field; what was left out is its last entry, "+N". */
void trail_write(const struct trail *t, char out[sizeof(((struct trail *)0)->text)]);
