/*
 * The providers that Bifrost knows by name. The one list of them: the configuration is checked
 * against it, and proxyd keeps what it knows of each under the same number.
 */
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

enum bf_provider_kind {
	BF_PROVIDER_MOCK, /* built in, needs no network */
	BF_PROVIDER_OPENAI,
	BF_PROVIDER_GROQ,
	BF_PROVIDER_MISTRAL,
	BF_PROVIDER_DEEPSEEK,
	BF_PROVIDER_XAI,
	BF_PROVIDER_CEREBRAS,
	BF_PROVIDER_FIREWORKS,
	BF_PROVIDER_PERPLEXITY,
	BF_PROVIDER_OPENROUTER,
	BF_PROVIDER_NEBIUS,
	BF_PROVIDER_PARASAIL,
	BF_PROVIDER_OLLAMA,
	BF_PROVIDER_VLLM,
	BF_PROVIDER_SGL,
	BF_PROVIDER_CUSTOM, /* any other name; also the number of those above */
};

enum bf_provider_kind bf_provider_kind_of(struct bf_slice name);

/* "custom" for BF_PROVIDER_CUSTOM, which is no name that a file may rely on. */
const char *bf_provider_kind_name(enum bf_provider_kind kind);

/* Does it put vendors before the names of its models, as in "openai/gpt-4o"? */
bool bf_provider_names_vendors(struct bf_slice name);

/* Servers of one's own, which seldom ask for a key. */
bool bf_provider_kind_is_keyless(enum bf_provider_kind kind);
