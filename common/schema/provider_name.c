/* Names of providers and back. Called by the checks of the configuration and where proxyd opens
 * providers. Must never hold what could be configured. */
#include "common/schema/provider_name.h"

#include "common/schema/config.h"

static const char *const names[BF_PROVIDER_CUSTOM + 1] = {
    [BF_PROVIDER_MOCK] = "mock",
    [BF_PROVIDER_OPENAI] = "openai",
    [BF_PROVIDER_GROQ] = "groq",
    [BF_PROVIDER_MISTRAL] = "mistral",
    [BF_PROVIDER_DEEPSEEK] = "deepseek",
    [BF_PROVIDER_XAI] = "xai",
    [BF_PROVIDER_CEREBRAS] = "cerebras",
    [BF_PROVIDER_FIREWORKS] = "fireworks",
    [BF_PROVIDER_PERPLEXITY] = "perplexity",
    [BF_PROVIDER_OPENROUTER] = "openrouter",
    [BF_PROVIDER_NEBIUS] = "nebius",
    [BF_PROVIDER_PARASAIL] = "parasail",
    [BF_PROVIDER_OLLAMA] = "ollama",
    [BF_PROVIDER_VLLM] = "vllm",
    [BF_PROVIDER_SGL] = "sgl",
    [BF_PROVIDER_CUSTOM] = "custom",
};

enum bf_provider_kind bf_provider_kind_of(struct bf_slice name)
{
	enum bf_provider_kind kind = BF_PROVIDER_MOCK;

	while (kind < BF_PROVIDER_CUSTOM && !bf_slice_is(name, names[kind]))
		kind++;
	return kind;
}

const char *bf_provider_kind_name(enum bf_provider_kind kind)
{
	return names[kind <= BF_PROVIDER_CUSTOM ? kind : BF_PROVIDER_CUSTOM];
}

bool bf_provider_kind_is_keyless(enum bf_provider_kind kind)
{
	return kind == BF_PROVIDER_MOCK || kind == BF_PROVIDER_OLLAMA || kind == BF_PROVIDER_VLLM ||
	       kind == BF_PROVIDER_SGL;
}

bool bf_provider_names_vendors(struct bf_slice name)
{
	static const uint32_t kinds = 1u << BF_PROVIDER_OPENROUTER | 1u << BF_PROVIDER_GROQ |
				      1u << BF_PROVIDER_FIREWORKS | 1u << BF_PROVIDER_NEBIUS |
				      1u << BF_PROVIDER_PARASAIL | 1u << BF_PROVIDER_VLLM |
				      1u << BF_PROVIDER_SGL;

	return kinds >> bf_provider_kind_of(name) & 1;
}

bool bf_provider_is_known(struct bf_slice name)
{
	return bf_provider_kind_of(name) != BF_PROVIDER_CUSTOM;
}

const struct bf_conf_key_server *bf_conf_key_server(const struct bf_conf_provider *provider,
						    const struct bf_conf_provider_key *key)
{
	static const struct bf_conf_key_server none = {.url = {NULL, 0}};

	enum bf_provider_kind kind = bf_provider_kind_of(provider->name);

	if (kind == BF_PROVIDER_OLLAMA)
		return &key->ollama;
	if (kind == BF_PROVIDER_SGL)
		return &key->sgl;
	return kind == BF_PROVIDER_VLLM ? &key->vllm : &none;
}
