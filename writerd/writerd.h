/* What the process holds. One instance, made by main.c before the loop starts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/rand.h"
#include "common/proc/child.h"
#include "shm/segment.h"
#include "writerd/change/changes.h"
#include "writerd/change/prices.h"
#include "writerd/change/registry.h"
#include "writerd/limits/limits.h"
#include "writerd/usage/turn.h"

struct writerd {
	struct shm_segment seg;
	struct store *store;     /* NULL before it is open */
	const char *store_path;  /* NULL: no logs are kept */
	bool store_is_old;       /* to be migrated once the loop runs, and until that was done */
	int64_t migrate_at_ms;   /* not before; 0: it was not tried yet */
	const char *config_path; /* NULL: no config store */
	struct bf_err refusal;   /* of the configured paths, found out before the sandbox */
	char node_id[BF_UUID_TEXT_LEN + 1]; /* "": the node has none */
	struct limits limits;
	struct registry registry;
	struct changes changes;
	struct prices prices;
	int64_t ready_limit_ms; /* monotonic: READY at the latest; 0: it was sent */
	struct turn turn;
};
