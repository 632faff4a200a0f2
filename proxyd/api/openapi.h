/* Documents made of the operations and of the tables of entities: pure. */
#pragma once

#include "common/base/buf.h"

/* An OpenAPI 3.1 document. 0 or an error of bf_buf. */
int openapi_write(struct bf_buf *out, const char *version) BF_MUST_CHECK;
/* The same for people, in Markdown: docs/api.md. */
int openapi_describe(struct bf_buf *out) BF_MUST_CHECK;
