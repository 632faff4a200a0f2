/* The providers that speak the OpenAI API: what differs between them, as data. */
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"
#include "shm/usage.h"

#define OPENAI_OBJECTS (SHM_OBJECT_RESPONSES + 1) /* size of tables by enum shm_usage_object */

struct openai_family {
	const char *base_url;
	const char *prefix; /* stands before /chat/completions when base_url has no version in it */
	unsigned objects;   /* bits by enum shm_usage_object */
	bool usage_unasked; /* streams tell usage without stream_options, which may be refused */
};

/* The row of a provider; of any other name, the one for custom servers (base_url NULL). */
const struct openai_family *openai_family_of(struct bf_slice name);

bool openai_family_serves(const struct openai_family *family, enum shm_usage_object object);
/* Behind the base URL: "/chat/completions"; what it is called: "chat completions". */
const char *openai_object_path(enum shm_usage_object object);
const char *openai_object_name(enum shm_usage_object object);
