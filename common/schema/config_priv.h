/* Shared by the files that define the tables of config.h and the checks over them. */
#pragma once

#include "common/schema/config.h"
#include "common/schema/node.h"

#define BF_PROVIDERS_MAX      64
#define BF_PROVIDER_KEYS_MAX  256
#define BF_PROVIDER_NAME_MAX  64
#define BF_LISTEN_MAX         64
#define BF_WORKERS_MAX        32
#define BF_LISTENERS_MAX      512 /* addresses x workers: every worker inherits all of them */
#define BF_RUNTIME_DIR_MAX    90  /* with "/control.sock" it must fit into a socket address */
#define BF_ACCEPT_UNBUILT_MAX 256
#define BF_UNBUILT_NAMES_MAX  256

#define BF_FIELD(type_, member) .offset = (uint32_t)offsetof(struct type_, member)

extern const struct bf_table bf_server_table;
extern const struct bf_table bf_client_table;
extern const struct bf_table bf_provider_table;
extern const struct bf_table bf_config_store_table;
extern const struct bf_table bf_logs_store_table;
extern const struct bf_table bf_supervisor_table;

/*
 * What no single block can decide: aliases, uniqueness over blocks, values that must fit each
 * other. root (may be NULL) is the file, for positions and for "was it given". Reports into diags;
 * completes config.
 */
void bf_config_complete(struct bf_config *config, const struct bf_node *root,
			struct bf_arena *arena, struct bf_diags *diags);

/* The check of bf_provider_table. */
int bf_provider_check(const void *object, struct bf_err *err);

/* Is this the base URL of a server on this machine? */
bool bf_url_is_loopback(struct bf_slice url);
/* "host:port", "[v6]:port" or ":port", no name but localhost. 0 or err. */
int bf_listen_check(struct bf_slice text, struct bf_err *err);
