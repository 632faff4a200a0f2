/* What the files of the request reader owe each other; for http1*.c only. */
#pragma once

#include "proxyd/front/http1.h"

/* FAILED with this status, unless it is already; returns -1. */
int http1_fail(struct http1 *h, int status, const char *reason);
/* Notes what a header says about the request; its value is trimmed. 0, or -1: it is refused. */
int http1_take_header(struct http1 *h, struct bf_slice name, struct bf_slice value);
/* All headers are taken: whether they go together. 0 or -1. */
int http1_check_headers(struct http1 *h);
/* head.path and query, from url, which stands in its request line. 0 or -1. */
int http1_take_target(struct http1 *h);

/* A whole header section. 0; -1: it is refused; 1: it is unusual, nothing is noted, llhttp has to
 * read it. */
int http1_read_usual(struct http1 *h, const char *bytes, size_t len);
