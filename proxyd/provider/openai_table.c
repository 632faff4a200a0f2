/*
 * The OpenAI-compatible providers: base URLs, and which operations they have. Called when a
 * provider is opened and when a call starts. Must never hold anything that could be configured
 * otherwise.
 */
#include "proxyd/provider/openai_table.h"

#include "common/schema/provider_name.h"

#define CHAT (1u << SHM_OBJECT_CHAT)
#define TEXT (1u << SHM_OBJECT_COMPLETION)
#define EMB  (1u << SHM_OBJECT_EMBEDDING)
#define RESP (1u << SHM_OBJECT_RESPONSES)
#define ALL  (CHAT | TEXT | EMB | RESP)

/* By enum bf_provider_kind, which has the names; mock is none of them. */
static const struct openai_family families[BF_PROVIDER_CUSTOM + 1] = {
    [BF_PROVIDER_OPENAI] = {"https://api.openai.com", "/v1", ALL, false},
    [BF_PROVIDER_GROQ] = {"https://api.groq.com/openai", "/v1", CHAT | RESP, false},
    [BF_PROVIDER_MISTRAL] = {"https://api.mistral.ai", "/v1", CHAT | EMB, true},
    [BF_PROVIDER_DEEPSEEK] = {"https://api.deepseek.com", "/v1", CHAT, false},
    [BF_PROVIDER_XAI] = {"https://api.x.ai", "/v1", CHAT | TEXT | RESP, false},
    [BF_PROVIDER_CEREBRAS] = {"https://api.cerebras.ai", "/v1", CHAT | TEXT | RESP, false},
    [BF_PROVIDER_FIREWORKS] = {"https://api.fireworks.ai/inference", "/v1", ALL, false},
    [BF_PROVIDER_PERPLEXITY] = {"https://api.perplexity.ai", "", CHAT, true},
    [BF_PROVIDER_OPENROUTER] = {"https://openrouter.ai/api", "/v1", ALL, false},
    [BF_PROVIDER_NEBIUS] = {"https://api.tokenfactory.nebius.com", "/v1", CHAT | TEXT | EMB, false},
    [BF_PROVIDER_PARASAIL] = {"https://api.parasail.io", "/v1", CHAT | RESP, false},
    [BF_PROVIDER_OLLAMA] = {"http://localhost:11434", "/v1", ALL, false},
    [BF_PROVIDER_VLLM] = {"http://localhost:8000", "/v1", ALL, false},
    [BF_PROVIDER_SGL] = {"http://localhost:30000", "/v1", ALL, false},
    [BF_PROVIDER_CUSTOM] = {NULL, "/v1", ALL, false},
};

static const struct {
	const char *path, *name;
} objects[OPENAI_OBJECTS] = {
    [SHM_OBJECT_CHAT] = {"/chat/completions", "chat completions"},
    [SHM_OBJECT_COMPLETION] = {"/completions", "text completions"},
    [SHM_OBJECT_EMBEDDING] = {"/embeddings", "embeddings"},
    [SHM_OBJECT_RESPONSES] = {"/responses", "responses"},
};

const struct openai_family *openai_family_of(struct bf_slice name)
{
	return &families[bf_provider_kind_of(name)];
}

bool openai_family_serves(const struct openai_family *family, enum shm_usage_object object)
{
	return (unsigned)object < OPENAI_OBJECTS && (family->objects & (1u << object));
}

const char *openai_object_path(enum shm_usage_object object)
{
	return (unsigned)object < OPENAI_OBJECTS ? objects[object].path : NULL;
}

const char *openai_object_name(enum shm_usage_object object)
{
	const char *name = (unsigned)object < OPENAI_OBJECTS ? objects[object].name : NULL;

	return name ? name : "this operation";
}
