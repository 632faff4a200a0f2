/* The two text formats of metrics: which one a client asks for, and how families look in each. */
#pragma once

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "shm/metrics.h"

enum metrics_format {
	METRICS_PROMETHEUS,  /* text format 0.0.4 */
	METRICS_OPENMETRICS, /* 1.0.0 */
};

enum metrics_kind {
	METRICS_COUNTER,
	METRICS_GAUGE,
	METRICS_HISTOGRAM,
	METRICS_INFO, /* a gauge that is always 1, for who knows no better */
};

/* OpenMetrics for a client that names it and does not like plain text better. */
enum metrics_format metrics_format_of(struct bf_slice accept);
struct bf_slice metrics_content_type(enum metrics_format format);

/* HELP and TYPE. name as its samples have it, labels or none: in OpenMetrics a family lacks their
 * suffix. */
int metrics_head_write(struct bf_buf *out, enum metrics_format format, enum metrics_kind kind,
		       const char *name, const char *help);
/* before="value", with the three bytes escaped that the format wants escaped. value is UTF-8. */
int metrics_label_write(struct bf_buf *out, const char *before, struct bf_slice value);
int metrics_histogram_write(struct bf_buf *out, enum metrics_format format,
			    const struct shm_histogram_def *def,
			    const struct shm_histogram_sums *sums);
