/* Shared by the files that define the tables of config.h and the checks over them. */
#pragma once

#include "common/base/macros.h"
#include "common/schema/config.h"
#include "common/schema/node.h"

#define BF_PROVIDERS_MAX      64
#define BF_PROVIDER_KEYS_MAX  256
#define BF_PROVIDER_NAME_MAX  64
#define BF_ENTITY_BYTES_MAX   (1u << 20) /* of one entry, as it is kept: a provider with its keys */
#define BF_LISTEN_MAX         64
#define BF_WORKERS_MAX        32
#define BF_LISTENERS_MAX      512 /* addresses x workers: every worker inherits all of them */
#define BF_RUNTIME_DIR_MAX    90  /* with "/control.sock" it must fit into a socket address */
#define BF_ACCEPT_UNBUILT_MAX 256
#define BF_UNBUILT_NAMES_MAX  256
#define BF_HEADER_NAMES_MAX   64
#define BF_EXTRA_HEADERS_MAX  64
#define BF_VIRTUAL_KEYS_MAX   10000
#define BF_TEAMS_MAX          10000
#define BF_CUSTOMERS_MAX      10000
#define BF_MODEL_CONFIGS_MAX  10000
#define BF_RATE_LIMITS_MAX    40000
#define BF_MCP_CONFIGS_MAX    256
#define BF_MODEL_NAMES_MAX    1024
#define BF_MODEL_NAME_MAX     256
#define BF_BUDGETS_MAX        40000
#define BF_API_KEYS_MAX       1000
#define BF_KEY_BUDGETS_MAX    40   /* what can be decided at once: BF_PLAN_LIMITS_PER_REQUEST */
#define BF_PRICES_MAX         1000 /* looked through for every request of a key with a budget */

#define BF_FIELD(type_, member) .offset = (uint32_t)offsetof(struct type_, member)
#define BF_ROWS(fields_)        .fields = (fields_), .field_count = BF_ARRAY_LEN(fields_)

extern const struct bf_table bf_server_table;
extern const struct bf_table bf_client_table;
extern const struct bf_table bf_provider_table;
extern const struct bf_table bf_provider_key_table;
/* What of bf_client_table can change while workers serve; the rest of the struct is not its. */
extern const struct bf_table bf_client_live_table;
extern const struct bf_table bf_network_table;
extern const struct bf_table bf_governance_table;
extern const struct bf_table bf_pricing_override_table; /* of governance.pricing_overrides */
extern const struct bf_table bf_sheet_price_table;      /* an entry of framework.pricing.sheet */
extern const char *const bf_unpriced_choices[];
extern const struct bf_table bf_framework_table;
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

/* What its parts need to know of where things stood; every node may be NULL. */
struct bf_whole {
	struct bf_config *config;
	const struct bf_node *root;
	struct bf_arena *arena;
	struct bf_diags *diags;
	struct bf_owners *owners; /* see owners.h; NULL until they were collected */
};

/* Also when the file has errors. */
void bf_providers_complete(struct bf_whole *w);
/* Only when it has none: a wrong value would stand there as its default. */
void bf_networks_settle(struct bf_whole *w);

/* Ids and values of keys, budgets to their owners. Also when the file has errors. */
void bf_governance_complete(struct bf_whole *w);
/* Who may use the management API: one place of two. */
void bf_auth_complete(struct bf_whole *w);
/* Its part about prices. */
void bf_prices_complete(struct bf_whole *w);
/* Its part about lists of models. */
void bf_catalogs_complete(struct bf_whole *w);
/* Is there a provider of this name? Reported at where (the path of the member) and pos when there
 * is not, unless there is none at all. */
void bf_provider_reference(struct bf_whole *w, const char *where, struct bf_pos pos,
			   struct bf_slice name);
/* Its part that moves budgets. */
void bf_budgets_complete(struct bf_whole *w);
/* What of its windows has no effect. Only when it has no errors. */
void bf_windows_warn(struct bf_whole *w);
/* What a process with limits takes for them at most: worst_case.c. */
uint64_t bf_governance_worst_bytes(const struct bf_conf_governance *governance);
/* The node of governance.NAME. */
const struct bf_node *bf_governance_block(const struct bf_whole *w, const char *name);
/* Does it stand there, and is it not null? */
bool bf_is_given(const struct bf_node *entry, const char *member);
/* Of a member, else of its entry. */
struct bf_pos bf_pos_of(const struct bf_node *entry, const char *member);
/* Can a plan be made of it? Owners were collected and are complete. */
void bf_limits_check(struct bf_whole *w);
/* Does each entry fit where it is to be kept? Only when it has none. */
void bf_sizes_check(struct bf_whole *w);
/* That, and what has no effect. Only when it has none. */
void bf_governance_settle(struct bf_whole *w);

/* What may stand in a file only once, and where it stood. */
struct bf_ref {
	struct bf_slice text;
	const struct bf_node *node;
	uint32_t index; /* in the order of adding, empty ones included */
};

struct bf_refs {
	struct bf_ref *items;
	size_t count;
	uint32_t next;
};

/* Room for so many. 0, or reported. */
int bf_refs_init(struct bf_whole *w, struct bf_refs *refs, size_t most);
/* Empty texts are none. */
void bf_refs_add(struct bf_refs *refs, struct bf_slice text, const struct bf_node *node);
/* An id, which was made of the member named_by where the entry gives none. */
void bf_refs_add_id(struct bf_refs *refs, struct bf_slice id, const struct bf_node *entry,
		    const char *named_by);
/* Of names and of the ids that may have been made of them: what is told once is not told again. */
void bf_refs_check_both(struct bf_whole *w, struct bf_refs *names, struct bf_refs *ids,
			const char *thing);
/* Sorts them and reports each that stands there again: "the key name "a" stands in line 3 already".
 */
void bf_refs_check(struct bf_whole *w, struct bf_refs *refs, const char *thing, const char *what,
		   bool secret);
void bf_refs_sort(struct bf_refs *refs);
/* Of sorted ones; NULL. */
const struct bf_ref *bf_refs_find(const struct bf_refs *refs, struct bf_slice text);
void bf_refs_done(struct bf_refs *refs);

/* A UUID made of a text. */
void bf_id_derive(struct bf_whole *w, struct bf_slice from, struct bf_slice *ret_id);
/* Reports that memory is out. */
void bf_whole_is_full(struct bf_whole *w);

/* The checks of entries of the governance block. */
int bf_budget_check(const void *object, struct bf_err *err);
int bf_override_check(const void *object, struct bf_err *err);
int bf_rate_limit_check(const void *object, struct bf_err *err);
/* One that stands at its owner needs no id. */
int bf_inline_rate_limit_check(const void *object, struct bf_err *err);
int bf_virtual_key_check(const void *object, struct bf_err *err);
int bf_model_config_check(const void *object, struct bf_err *err);
int bf_pricing_override_check(const void *object, struct bf_err *err);

/* The check of bf_provider_table, for files. */
int bf_provider_check(const void *object, struct bf_err *err);
/* The same of one that clients of the management API make: its keys may come later. */
int bf_provider_check_live(const void *object, struct bf_err *err);

/* The values of bf_field.settle, described there. */
int bf_settle_header_name(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
/* The same, or "*". */
int bf_settle_header_or_all(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
/* A header that may be sent to a provider beside those of the gateway. */
int bf_settle_sent_header(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
/* An id or a name that people read: no control characters. */
int bf_settle_label(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
int bf_settle_origin(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
int bf_settle_cert_pem(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
int bf_settle_key_pem(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
int bf_settle_window(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
int bf_settle_moment(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
/* "*", or the whole name of a model. */
int bf_settle_model_name(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
int bf_settle_virtual_key(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
/* A name of bf_price_request_type(). */
int bf_settle_request_type(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
#define BF_ENCRYPTION_KEY_MIN 16
int bf_settle_encryption_key(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
int bf_settle_url(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
/* Where a price sheet may be fetched. */
int bf_settle_pricing_url(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);

/* http:// or https://, a host, nothing secret? */
bool bf_url_is_http(struct bf_slice url);
/* That, and an address that workers can ask: proxyd/provider/upstream_target.c. */
bool bf_url_is_askable(struct bf_slice url);
#define BF_URL_MUST_BE                                                                       \
	"must be http://HOST[:PORT][/PATH] or https://..., without user and password, query" \
	" and other signs"
/* Is this the base URL of a server on this machine? */
bool bf_url_is_loopback(struct bf_slice url);
/* "host:port", "[v6]:port" or ":port", no name but localhost. 0 or err. */
int bf_listen_check(struct bf_slice text, struct bf_err *err);
