/* Limits of one entity as they come and go. Between the files of limits. */
#pragma once

#include "writerd/limits/limits.h"

/* Gives a place to those that have none, to at most so many. */
void limits_claim(struct limits *l, uint32_t most);
/* The meter is found by nobody from here on, and the limit is no more. */
void limits_retire(struct limits *l, struct limit *limit);
/* Gives what overrides give whose time has come, and takes back what is over. Workers do not wait
 * for that to give no more. */
void limits_follow_extras(struct limits *l);
