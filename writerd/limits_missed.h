/*
 * Rows of requests that were admitted without a limit which they are about: by workers of an older
 * configuration, which serve on for a while after a reload.
 */
#pragma once

#include "writerd/limits.h"

/* After the owners. 0 or -ENOMEM. */
int limits_missed_init(struct limits *l);
void limits_missed_done(struct limits *l);
/* For the fold of l: gives the row to the meters that it is about and does not name. */
void limits_missed(void *limits, const struct shm_usage_record *r, const struct row *row);
