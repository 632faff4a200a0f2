/* Asking the registry of entities_bed.h, and looking at what is in force then: part of that file.
 */
#pragma once

#include "tests/unit/writerd/entities_bed.h"

/* ---- asking */

static inline void bed_send(struct bed *b, const struct bf_msg_entity_change *ask)
{
	struct bf_buf body;

	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	assert_int_equal(bf_msg_encode(BF_MSG_ENTITY_CHANGE, ask, &body), 0);
	const struct bf_frame f = {.type = BF_MSG_ENTITY_CHANGE,
				   .source = BF_ENDPOINT(BF_ROLE_PROXYD, 0),
				   .target = b->child.endpoint,
				   .request = ++b->request,
				   .body = bf_buf_slice(&body),
				   .fd = -1};
	changes_take(&b->changes, &f);
	bf_buf_done(&body);
}

static inline struct bf_msg_entity_change bed_change(enum bf_entity_action action, uint32_t type,
						     const char *id, const char *json)
{
	return (struct bf_msg_entity_change){.action = (int32_t)action,
					     .type = type,
					     .id = bf_slice_from(id),
					     .body = bf_slice_from(json),
					     .actor = BF_SLICE_LIT("test")};
}

/* The status of the answer. */
static inline unsigned bed_ask(struct bed *b, enum bf_entity_action action, uint32_t type,
			       const char *id, const char *json)
{
	const struct bf_msg_entity_change ask = bed_change(action, type, id, json);
	uint32_t before = b->answers;

	bed_send(b, &ask);
	bed_settle(b);
	assert_int_equal(b->answers, before + 1);
	return (unsigned)b->status;
}

static inline void bed_ask_well(struct bed *b, enum bf_entity_action action, uint32_t type,
				const char *id, const char *json)
{
	unsigned status = bed_ask(b, action, type, id, json);

	if (status != 200 && status != 201)
		fail_msg("%u: %s", status, b->json);
}

/* A refusal with this in its text. */
static inline void bed_ask_badly(struct bed *b, enum bf_entity_action action, uint32_t type,
				 const char *id, const char *json, unsigned status,
				 const char *part)
{
	assert_int_equal(bed_ask(b, action, type, id, json), status);
	if (!strstr(b->json, part))
		fail_msg("\"%s\" is not in %s", part, b->json);
}

/* ---- what is in force */

static inline struct bf_snapshot bed_now(const struct bed *b)
{
	return (struct bf_snapshot){b->base, b->overlay};
}

static inline bool bed_finds(const struct bed *b, uint32_t type, const char *id,
			     struct bf_entity *ret_entity)
{
	const struct bf_snapshot s = bed_now(b);
	struct bf_entity e;

	return b->base &&
	       bf_snapshot_find(&s, type, bf_slice_from(id), ret_entity ? ret_entity : &e);
}

/* By a value; the id of who has it, or "". */
static inline const char *bed_holder(const struct bed *b, uint32_t type, const char *value)
{
	static char id[BF_ENTITY_ID_MAX + 1];
	const struct bf_snapshot s = bed_now(b);
	uint8_t secret[32];
	struct bf_entity e;

	bf_hmac(bf_snapshot_pepper(b->base), bf_slice_from(value), secret);
	if (!bf_snapshot_find_secret(&s, type, secret, &e))
		return "";
	(void)snprintf(id, sizeof(id), "%.*s", BF_SLICE_FMT(e.id));
	return id;
}

/* The text of a member of the last answer, the first of that name. */
static inline const char *bed_member(const struct bed *b, const char *name)
{
	static char text[256];
	char key[64];

	(void)snprintf(key, sizeof(key), "\"%s\":\"", name);
	const char *at = strstr(b->json, key);
	if (!at)
		return "";
	at += strlen(key);
	(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, "\""), at);
	return text;
}
