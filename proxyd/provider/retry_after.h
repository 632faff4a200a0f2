/* When an upstream wants to be asked again. Pure. */
#pragma once

#include <stdint.h>

#include "common/base/slice.h"

#define RETRY_AFTER_MAX_S 86400u

/* Seconds from a Retry-After value, a number or an HTTP date, at most a day; 0: none, past, or
 * unreadable. */
unsigned retry_after_seconds(struct bf_slice value, int64_t now_wall_s);
/* The same from a retry-after-ms value, rounded up. */
unsigned retry_after_ms_seconds(struct bf_slice value);
