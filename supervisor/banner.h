/* What is printed at start: one block that says what runs where and what it may cost. */
#pragma once

#include "common/base/buf.h"
#include "common/schema/config.h"

struct banner {
	const char *file, *state_dir, *runtime_dir, *programs;
	const struct bf_config *config;
	uint32_t workers;
	uint32_t unswept; /* process slots of an earlier life that wait for writerd */
	bool taken_over;
	int landlock_abi; /* 0: the kernel has none */
	bool keeps_root, runtime_is_tmpfs;
	const char *note; /* about a segment that was set aside; "" */
	const char *room; /* the folder is too small for the worst case; "" */
};

/* -ENOMEM or BF_E_LIMIT; what fits is in out. */
int banner_write(const struct banner *b, struct bf_buf *out);

/* Version of Landlock in this kernel; 0 when there is none. */
int banner_landlock_abi(void);
