/* Text for people. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

/* Prints text of another process with everything replaced by "?" that could steer a terminal. */
void ctl_print_text(FILE *out, struct bf_slice text);

/* "850ms", "12s", "3m20s", "5h2m", "8d3h"; "-" for a negative age. Returns out. */
const char *ctl_format_age(int64_t ms, char out[32]);

/* Writes all of buf and clears it. */
void ctl_print_buf(FILE *out, struct bf_buf *buf);
