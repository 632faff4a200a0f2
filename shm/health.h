/* Health words: why this node is degraded. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"

enum shm_health_bit {
#define X(name, component, reason) name,
#include "shm/health.def"
#undef X
	SHM_HEALTH_COUNT,
};
_Static_assert(SHM_HEALTH_COUNT <= 64, "health reasons fit one word");

struct shm_health_def {
	const char *component;
	const char *reason;
};

extern const struct shm_health_def shm_health_defs[SHM_HEALTH_COUNT];

/* p: the caller's process slot (the supervisor holds one too). Only living slots count. */
void shm_health_set(struct shm_segment *seg, uint32_t p, enum shm_health_bit bit, bool on);

/* Reasons of all living processes, as bits. */
uint64_t shm_health_all(const struct shm_segment *seg);
