/* What the parts of a change share. */
#pragma once

#include "common/codec/json_writer.h"
#include "common/schema/entity_parse.h"
#include "writerd/change/change.h"

struct change {
	struct registry *r;
	const struct bf_msg_entity_change *ask;
	struct bf_arena *arena;
	struct change_answer *answer;
	const struct bf_entity_def *def;
	struct entity *before; /* that lives; NULL: none */
	struct bf_slice id;
	void *object;          /* as it shall be */
	struct bf_slice value; /* a new secret, to be shown once; empty: none */
	/* Of a change of a part: what it is, and as it shall be (NULL: gone). */
	const struct bf_entity_def *part;
	const void *part_object;
	struct bf_entity_body body;
};

/* Is it one of its kind, and is there whom it names? true, or it was refused. */
bool change_check(struct change *c);
/* Nobody names it? true, or it was refused. */
bool change_check_unnamed(struct change *c);

/* Refuses with one line, that may name a member. Returns false. */
bool change_no(struct change *c, int http_status, const char *type, const char *fmt, ...)
    BF_PRINTF(4, 5);
/* Refuses with what the body has of faults. Returns false. */
bool change_no_parts(struct change *c, int http_status, const char *type);

/* The slot of the object's id. */
struct bf_slice *change_id_slot(struct change *c, void *object);
/* Is it there, and of the version that was expected? true, or it was refused. */
bool change_is_there(struct change *c);
bool change_version_fits(struct change *c);
/* Puts the object, which is whole and was checked, and answers. */
void change_put(struct change *c, int http_status, const char *what);

/* ---- change_override.c */

/* Raises a budget for a time, or ends that. */
void change_override(struct change *c);
/* A member of an open object. */
void change_write_effective(struct bf_json_writer *w, const struct bf_conf_budget *budget);

/* ---- change_reset.c */

/* Forgives what was used of its limits. */
void change_reset(struct change *c);

/* ---- change_provider.c */

/* A key of a provider. */
void change_part(struct change *c);
/* Keys are its own, certificates can be read: true, or it was refused. */
bool change_check_provider(struct change *c);
/* The configuration as it is now, as far as others name what is in it: *io_config with the
 * providers that there are. false: it was refused. */
bool change_providers(struct change *c, struct bf_config *io_config);
