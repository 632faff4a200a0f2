/* Certificates of a configuration, looked at with the library that will use them. */
#pragma once

#include "common/base/buf.h"
#include "common/schema/config.h"

/*
 * Appends a line to out for each pair or list that cannot be used: "NAME: error: server.tls: why".
 * Returns how many, or an error of bf_buf.
 */
int config_certs_check(const struct bf_config *config, const char *name, struct bf_buf *out);
