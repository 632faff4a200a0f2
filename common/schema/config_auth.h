/* Who may use the management API. Part of config.h; also the bodies of its entities. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/field.h"

#define BF_VALUE_HINT_MAX 16

#define BF_AUTH_CONFIG_ID "auth" /* there is one */

struct bf_conf_auth_config {
	struct bf_slice id; /* BF_AUTH_CONFIG_ID; empty when the file has no such block */
	bool is_enabled;
	struct bf_slice admin_username;
	struct bf_slice admin_password; /* secret */
	bool disable_auth_on_inference;
};

/* Opens the management API in place of the password. Found by the hash of its value. */
struct bf_conf_api_key {
	struct bf_slice id, name;
	struct bf_slice value;      /* secret; empty wherever it is kept */
	struct bf_slice value_hint; /* how its value ends */
	bool is_active;
	int64_t expires_at_ms; /* since 1970; 0: never */
};

/* A session that was logged out; its id is that of the session. */
struct bf_conf_session_end {
	struct bf_slice id;
	int64_t expires_at_ms; /* when the session would have ended by itself */
};

extern const struct bf_table bf_auth_config_table, bf_api_key_table, bf_session_end_table;
