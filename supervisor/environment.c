/*
 * Which environment variables a process gets. Called before each fork. Must never let a child see a
 * variable that is not named here: API keys live in the environment.
 */
#include "supervisor/environment.h"

#include <string.h>

#include "common/base/macros.h"
#include "common/proc/contract.h"

#define MAX_INHERITED 64

static bool passes(const char *entry)
{
	static const char *const names[] = {
	    "PATH=",
	    "LANG=",
	    "TZ=",
	    "SSL_CERT_FILE=", /* a path: whom to trust */
	    "ASAN_OPTIONS=",
	    "UBSAN_OPTIONS=",
	    "LSAN_OPTIONS=",
	    "TSAN_OPTIONS=",
	    /* No "=": a family of names. */
	    "FAKE_CHILD",
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++) {
		if (strncmp(entry, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static char *named(struct bf_arena *arena, const char *name, const char *value)
{
	return bf_arena_printf(arena, "%s=%s", name, value ? value : "");
}

static char *numbered(struct bf_arena *arena, const char *name, uint32_t value)
{
	return bf_arena_printf(arena, "%s=%u", name, value);
}

static size_t put_contract(char **out, const struct environment *e, struct bf_arena *arena)
{
	size_t n = 0;

	out[n++] = named(arena, BF_ENV_ROLE, e->role);
	out[n++] = numbered(arena, BF_ENV_INDEX, e->index);
	out[n++] = numbered(arena, BF_ENV_PROC_SLOT, e->proc_slot);
	out[n++] = named(arena, BF_ENV_BUILD_ID, e->build_id);
	out[n++] = numbered(arena, BF_ENV_WORKERS, e->workers);
	out[n++] = numbered(arena, BF_ENV_ADDRESSES, e->addresses);
	out[n++] = named(arena, BF_ENV_USER, e->user);
	out[n++] = named(arena, BF_ENV_STATE_DIR, e->state_dir);
	out[n++] = named(arena, BF_ENV_RUNTIME_DIR, e->runtime_dir);
	out[n++] = named(arena, BF_ENV_LOG_LEVEL, e->log_level);
	return n;
}

char **environment_of_child(const struct environment *e, char *const *inherited,
			    struct bf_arena *arena)
{
	char **out = bf_arena_alloc(arena, (10 + MAX_INHERITED + 1) * sizeof(*out));
	size_t n, contract, all = count(inherited);

	if (!out)
		return NULL;
	contract = put_contract(out, e, arena);
	n = contract;
	for (size_t i = 0; i < contract; i++) {
		if (!out[i])
			return NULL;
	}
	for (size_t i = 0; i < all && n < contract + MAX_INHERITED; i++) {
		if (passes(inherited[i]))
			out[n++] = inherited[i];
	}
	out[n] = NULL;
	return out;
}

char **environment_of_config_helper(const char *user, char *const *inherited,
				    struct bf_arena *arena)
{
	size_t all = count(inherited), n = 0;
	char **out = bf_arena_alloc(arena, (all + 2) * sizeof(*out));
	static const char prefix[] = BF_ENV_USER "=";

	if (!out)
		return NULL;
	for (size_t i = 0; i < all; i++) {
		if (strncmp(inherited[i], prefix, sizeof(prefix) - 1) != 0)
			out[n++] = inherited[i];
	}
	out[n] = named(arena, BF_ENV_USER, user);
	if (!out[n])
		return NULL;
	out[n + 1] = NULL;
	return out;
}
