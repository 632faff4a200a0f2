/*
 * Rows of requests that were admitted without a limit which they are about: because it came later,
 * or is known to newer requests alone.
 */
#pragma once

#include "writerd/limits/limits.h"

/* For the fold of l: gives the row to the meters that it is about and does not name. */
void limits_missed(void *limits, const struct shm_usage_record *r, const struct row *row);
