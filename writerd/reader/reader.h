/* The reader: bifrost-writerd --role=reader. Answers questions about the logs, one after another.
 */
#pragma once

#include "common/proc/child.h"

#define READER_MAX_WAITING 256u  /* further questions are refused */
#define READER_PATIENCE_MS 10000 /* whoever asked earlier has given up */

extern const struct bf_child_spec reader_spec;
