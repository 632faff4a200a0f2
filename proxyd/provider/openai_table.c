/*
 * The OpenAI-compatible providers: base URLs, and which operations they have. Called when a
 * provider is opened and when a call starts. Must never hold anything that could be configured
 * otherwise.
 */
#include "proxyd/provider/openai_table.h"

#include "common/base/macros.h"

#define CHAT (1u << SHM_OBJECT_CHAT)
#define TEXT (1u << SHM_OBJECT_COMPLETION)
#define EMB  (1u << SHM_OBJECT_EMBEDDING)
#define RESP (1u << SHM_OBJECT_RESPONSES)
#define ALL  (CHAT | TEXT | EMB | RESP)

static const struct openai_family families[] = {
    {"openai", "https://api.openai.com", "/v1", ALL, false},
    {"groq", "https://api.groq.com/openai", "/v1", CHAT | RESP, false},
    {"mistral", "https://api.mistral.ai", "/v1", CHAT | EMB, true},
    {"deepseek", "https://api.deepseek.com", "/v1", CHAT, false},
    {"xai", "https://api.x.ai", "/v1", CHAT | TEXT | RESP, false},
    {"cerebras", "https://api.cerebras.ai", "/v1", CHAT | TEXT | RESP, false},
    {"fireworks", "https://api.fireworks.ai/inference", "/v1", ALL, false},
    {"perplexity", "https://api.perplexity.ai", "", CHAT, true},
    {"openrouter", "https://openrouter.ai/api", "/v1", ALL, false},
    {"nebius", "https://api.tokenfactory.nebius.com", "/v1", CHAT | TEXT | EMB, false},
    {"parasail", "https://api.parasail.io", "/v1", CHAT | RESP, false},
    {"ollama", "http://localhost:11434", "/v1", ALL, false},
    {"vllm", "http://localhost:8000", "/v1", ALL, false},
    {"sgl", "http://localhost:30000", "/v1", ALL, false},
};

static const struct openai_family custom = {"custom", NULL, "/v1", ALL, false};

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
	for (size_t i = 0; i < BF_ARRAY_LEN(families); i++) {
		if (bf_slice_is(name, families[i].name))
			return &families[i];
	}
	return &custom;
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
