/* The normalised names of failures: extra_fields.error_type, and the label of error counters. */
#pragma once

/*
 * type: our own name of the failure, or NULL; else the status decides. code: what an upstream's
 * error body says in `code`, or NULL. Never NULL; "_OTHER" when nothing fits.
 */
const char *error_class(int http_status, const char *type, const char *code);
