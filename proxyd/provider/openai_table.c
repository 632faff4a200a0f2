/*
 * Base URLs of the OpenAI-compatible providers. Called when a provider is opened. Must never hold
 * anything that could be configured otherwise.
 */
#include "proxyd/provider/openai_table.h"

#include "common/base/macros.h"

static const struct openai_family families[] = {
    {"openai", "https://api.openai.com", "/v1", false},
    {"groq", "https://api.groq.com/openai", "/v1", false},
    {"mistral", "https://api.mistral.ai", "/v1", true},
    {"deepseek", "https://api.deepseek.com", "/v1", false},
    {"xai", "https://api.x.ai", "/v1", false},
    {"cerebras", "https://api.cerebras.ai", "/v1", false},
    {"fireworks", "https://api.fireworks.ai/inference", "/v1", false},
    {"perplexity", "https://api.perplexity.ai", "", true},
    {"openrouter", "https://openrouter.ai/api", "/v1", false},
    {"nebius", "https://api.tokenfactory.nebius.com", "/v1", false},
    {"parasail", "https://api.parasail.io", "/v1", false},
    {"ollama", "http://localhost:11434", "/v1", false},
    {"vllm", "http://localhost:8000", "/v1", false},
    {"sgl", "http://localhost:30000", "/v1", false},
};

static const struct openai_family custom = {"custom", NULL, "/v1", false};

const struct openai_family *openai_family_of(struct bf_slice name)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(families); i++) {
		if (bf_slice_is(name, families[i].name))
			return &families[i];
	}
	return &custom;
}
