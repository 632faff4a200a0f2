/* The hosts file: addresses and names, as hosts(5) has it. */
#pragma once

#include "common/base/buf.h"
#include "common/net/addr.h"

#define BF_HOSTS_MAX_BYTES (1u << 20)

struct bf_hosts {
	struct bf_buf text;
};

/* Reads the file; one that does not exist is empty. -errno, BF_E_LIMIT, -ENOMEM. */
int bf_hosts_read(const char *path, struct bf_hosts *ret_hosts, struct bf_err *err);
/* Addresses of a name, whatever its case, with port 0, in the order of the file; returns how many
 * it filled. */
size_t bf_hosts_find(const struct bf_hosts *hosts, struct bf_slice name, struct bf_addr *ret_addrs,
		     size_t max);
/* Accepts a zeroed one. */
void bf_hosts_free(struct bf_hosts *hosts);
