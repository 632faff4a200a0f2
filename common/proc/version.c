/*
 * Version and build id, compiled into one object that every binary of a build links, so that a
 * mixture of two builds is noticed at start (a child compares the supervisor's id with its own).
 */
#include "common/proc/child.h"

#include "common/proc/build_id.h"

const char *bf_build_id(void)
{
	return BF_BUILD_ID;
}

const char *bf_version(void)
{
	return BF_VERSION;
}
