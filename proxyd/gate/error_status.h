/* What an upstream's error is about, where its status says something else. */
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

/*
 * What an upstream's 400, 403 or 429 amounts to by the code or type in its body: 429 for a rate
 * limit, 402 for a quota that was paid for and is used up, else the status itself. Looks at the
 * first 2 KB.
 */
int error_status_meant(int http_status, struct bf_slice body);
/* Is it that the provider has no such model? Looks as far. */
bool error_status_no_model(int http_status, struct bf_slice body);
