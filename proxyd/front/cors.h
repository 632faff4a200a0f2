/*
 * Pages of other origins that call this gateway from a browser. Pure: configuration and headers in,
 * header lines out.
 */
#pragma once

#include <stdbool.h>

#include "common/schema/config.h"
#include "proxyd/exchange.h"

#define CORS_ORIGIN_MAX 256u  /* longer ones are nobody's */
#define CORS_LINES_MAX  4096u /* of a preflight; names that do not fit are left out */
#define CORS_MAX_AGE_S  86400

struct cors_lines {
	size_t len;
	char text[CORS_LINES_MAX];
};

/*
 * May pages of this origin call? Those of this machine (localhost, any port) always; else a member
 * of client.allowed_origins: "*", the origin itself, or one with a single * that stands for the
 * front labels of a host name (scheme, then *.example.com).
 */
bool cors_allows(const struct bf_conf_client *client, struct bf_slice origin);

/* Does every origin get the same answer? Else answers say `Vary: Origin`. */
bool cors_is_open(const struct bf_conf_client *client);

/* A browser asks before it sends the real request. */
bool cors_is_preflight(const struct exchange *x);

/* Lines for any answer; origin may be empty. Nothing when there is nothing to say. */
void cors_answer_lines(const struct bf_conf_client *client, struct bf_slice origin,
		       struct cors_lines *out);

/* Lines for the answer to a preflight whose origin is allowed, beside those of any answer. */
void cors_preflight_lines(const struct bf_conf_client *client, struct bf_slice asked_headers,
			  struct cors_lines *out);
