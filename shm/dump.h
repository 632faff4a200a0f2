/* A readable picture of a segment, for bifrostctl dump; works on a read-only mapping and on a dead
 * node's file. */
#pragma once

#include "common/base/buf.h"
#include "shm/segment.h"

int shm_dump_text(const struct shm_segment *seg, struct bf_buf *out);
/* The same as one JSON object. The writer of JSON is passed bytes only: shm/ knows no codec. */
int shm_dump_json(const struct shm_segment *seg, struct bf_buf *out);
