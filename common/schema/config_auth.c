/*
 * The description of who may use the management API. Its first two tables are of the file, all are
 * entities. Called by the decoder; must never show a password or the value of a key.
 */
#include "common/schema/config_auth.h"

#include "common/schema/config_owners.h"

#define AUTH_TEXT_MAX 256
#define PASSWORD_MIN  8
#define API_KEY_MIN   20

/* Basic authentication ends the name at the first colon; a control character cannot be typed. */
static int settle_username(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	(void)arena;
	for (size_t i = 0; i < text->len; i++)
		if (text->ptr[i] == ':' || (unsigned char)text->ptr[i] < ' ' ||
		    text->ptr[i] == 0x7f)
			return bf_err_set(err, BF_E_SYNTAX,
					  "must have no colon and no control characters: browsers "
					  "and curl could not send it");
	return 0;
}

static int auth_config_check(const void *object, struct bf_err *err)
{
	const struct bf_conf_auth_config *a = object;

	if (a->is_enabled && a->admin_username.len == 0)
		return bf_err_set(err, BF_E_MISSING,
				  "is_enabled needs admin_username: add it, or set is_enabled: "
				  "false");
	if (a->is_enabled && a->admin_password.len == 0)
		return bf_err_set(err, BF_E_MISSING,
				  "is_enabled needs admin_password: add it, best as env.NAME or "
				  "file.PATH, or set is_enabled: false");
	if (a->admin_password.len && a->admin_password.len < PASSWORD_MIN)
		return bf_err_set(err, BF_E_RANGE,
				  "admin_password has %zu bytes: give it at least %d",
				  a->admin_password.len, PASSWORD_MIN);
	return 0;
}

static const struct bf_field auth_config_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_auth_config, id),
     .max = BF_ID_MAX,
     .flags = BF_INTERNAL,
     .audience = BF_FOR_WRITERD,
     .doc = "There is one."},
    {.name = "is_enabled",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_auth_config, is_enabled),
     .dflt = "false",
     .audience = BF_FOR_WRITERD,
     .doc = "Whether the management API and /metrics ask who calls. false: the API answers "
	    "programs on this machine, and nobody else, and /metrics answers everybody."},
    {.name = "admin_username",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_auth_config, admin_username),
     .max = AUTH_TEXT_MAX,
     .settle = settle_username,
     .audience = BF_FOR_WRITERD,
     .doc = "Name of who may use it."},
    {.name = "admin_password",
     .type = BF_T_SECRET,
     BF_FIELD(bf_conf_auth_config, admin_password),
     .max = AUTH_TEXT_MAX,
     .audience = BF_FOR_WRITERD,
     .doc = "The password, of at least 8 bytes; best as env.NAME or file.PATH. Another one ends "
	    "all sessions."},
    {.name = "disable_auth_on_inference",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_auth_config, disable_auth_on_inference),
     .dflt = "false",
     .audience = BF_FOR_WRITERD,
     .doc = "true: requests to models need no such credentials. Otherwise they need them too, in "
	    "Authorization, and a virtual key travels in x-bf-vk."},
};

const struct bf_table bf_auth_config_table = {
    .name = "governance.auth_config",
    .size = sizeof(struct bf_conf_auth_config),
    BF_ROWS(auth_config_fields),
    .check = auth_config_check,
    .doc = "Who may use the management API.",
};

/* It opens everything, and is guessed at without anybody counting. */
static int settle_api_key(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	if (text->len < API_KEY_MIN)
		return bf_err_set(
		    err, BF_E_RANGE,
		    "has %zu bytes: give it at least %d, or leave it out: then one is "
		    "made",
		    text->len, API_KEY_MIN);
	if (bf_slice_starts(*text, BF_SLICE_LIT("bfs_")))
		return bf_err_set(err, BF_E_SYNTAX,
				  "begins as tokens of sessions do: give another one");
	return bf_settle_virtual_key(text, arena, err);
}

static const struct bf_field api_key_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_api_key, id),
     .max = BF_ID_MAX,
     .settle = bf_settle_label,
     .audience = BF_FOR_WRITERD,
     .doc = "Identity; made when absent."},
    {.name = "name",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_api_key, name),
     .max = BF_NAME_MAX,
     .settle = bf_settle_label,
     .flags = BF_REQUIRED,
     .audience = BF_FOR_WRITERD,
     .doc = "Name of the key, unique among them; logs show it."},
    {.name = "value",
     .type = BF_T_SECRET,
     BF_FIELD(bf_conf_api_key, value),
     .max = 1024,
     .settle = settle_api_key,
     .audience = BF_FOR_WRITERD,
     .doc = "The secret, of at least 20 bytes, sent as Authorization: Bearer. The API makes one "
	    "when it is absent, and shows it once; a file must give it, best as env.NAME or "
	    "file.PATH."},
    {.name = "value_hint",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_api_key, value_hint),
     .max = BF_VALUE_HINT_MAX,
     .flags = BF_INTERNAL,
     .audience = BF_FOR_WRITERD,
     .doc = "How the value ends."},
    {.name = "is_active",
     .type = BF_T_BOOL,
     BF_FIELD(bf_conf_api_key, is_active),
     .dflt = "true",
     .audience = BF_FOR_WRITERD,
     .doc = "Whether it may be used."},
    {.name = "expires_at",
     .type = BF_T_TIME,
     BF_FIELD(bf_conf_api_key, expires_at_ms),
     .audience = BF_FOR_WRITERD,
     .doc = "Moment from which it is refused; absent: never."},
};

const struct bf_table bf_api_key_table = {
    .name = "governance.api_keys",
    .size = sizeof(struct bf_conf_api_key),
    BF_ROWS(api_key_fields),
    .doc = "Keys that open the management API.",
};

static const struct bf_field session_end_fields[] = {
    {.name = "id",
     .type = BF_T_STRING,
     BF_FIELD(bf_conf_session_end, id),
     .max = BF_ID_MAX,
     .flags = BF_REQUIRED,
     .doc = "Of the session."},
    {.name = "expires_at",
     .type = BF_T_TIME,
     BF_FIELD(bf_conf_session_end, expires_at_ms),
     .flags = BF_REQUIRED,
     .doc = "When the session would have ended by itself."},
};

const struct bf_table bf_session_end_table = {
    .name = "session_ends",
    .size = sizeof(struct bf_conf_session_end),
    BF_ROWS(session_end_fields),
    .doc = "Sessions that were logged out.",
};

/* What protects secrets must not be what somebody tries out in a minute. */
int bf_settle_encryption_key(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	(void)arena;
	if (text->len && text->len < BF_ENCRYPTION_KEY_MIN)
		return bf_err_set(err, BF_E_RANGE,
				  "has %zu bytes: give it at least %d, such as those of "
				  "\"openssl rand -base64 32\"",
				  text->len, BF_ENCRYPTION_KEY_MIN);
	return 0;
}
