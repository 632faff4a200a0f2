/* The providers that speak the OpenAI API: what differs between them, as data. */
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

struct openai_family {
	const char *name;
	const char *base_url;
	const char *prefix; /* stands before /chat/completions when base_url has no version in it */
	bool usage_unasked; /* streams tell usage without stream_options, which may be refused */
};

/* The row of a provider; of any other name, the one for custom servers (base_url NULL). */
const struct openai_family *openai_family_of(struct bf_slice name);
