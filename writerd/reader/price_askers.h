/* Who waits for the price sheet to be looked at: requests to the management API. Bounded. */
#pragma once

#include "common/proc/child.h"

#define PRICE_ASKERS_MAX 16u

struct price_asker {
	uint16_t endpoint; /* 0: none */
	uint32_t request;
	int64_t since_ms; /* monotonic */
};

struct price_askers {
	struct price_asker items[PRICE_ASKERS_MAX]; /* zeroed at first */
};

/* type NULL: it went well; models 0: of no concern. */
struct price_answer {
	int http_status;
	const char *type, *text;
	uint64_t models, skipped;
};

/* Whoever sent f waits. False: too many do, and it was told so. */
bool price_askers_add(struct price_askers *a, struct bf_child *child, const struct bf_frame *f);
void price_askers_forget(struct price_askers *a, uint16_t asker, uint32_t request);
/* Those that have waited since then or longer. */
void price_askers_answer(struct price_askers *a, struct bf_child *child, int64_t since_ms,
			 const struct price_answer *answer);
