/* The store of a node that keeps no logs: takes every row and forgets it, so that the rings still
 * empty. */
#pragma once

#include "writerd/store/store.h"

/* Static; close does nothing. */
struct store *store_null_open(void);
