/* The segment's file in the runtime folder: take over what a dead supervisor left, or make a new
 * one. */
#pragma once

#include <stdint.h>

#include "shm/segment.h"
#include "supervisor/folder.h"

/* What is done about a file that is there, by what shm_segment_attach says of it. */
enum segment_decision {
	SEGMENT_TAKE_OVER, /* it is fine */
	SEGMENT_SET_ASIDE, /* renamed to segment.old-N, a new one is made, and a warning says so */
	SEGMENT_REFUSE,    /* not ours to touch: the start fails */
};

enum segment_decision segment_decide(int attach_code);

#define SEGMENT_MAX_OLD 8 /* files set aside; one more refuses the start */

struct segment {
	struct shm_segment shm;
	int fd;
	bool taken_over;
	char note[2048]; /* warning about what was set aside; empty: none */
};

/* /proc/sys/kernel/random/boot_id as bytes. */
int segment_boot_id(uint8_t ret_id[16], struct bf_err *err);

/* Call with the folder's lock held. The file appears whole or not at all. */
int segment_open(struct segment *s, const struct folders *f, const struct owner *owner,
		 const uint8_t boot_id[16], struct bf_err *err);
void segment_close(struct segment *s);
