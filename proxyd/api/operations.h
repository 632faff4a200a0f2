/*
 * The one table of what the management API can do: routing, the checks of parameters, the OpenAPI
 * document and docs/api.md are made from it.
 */
#pragma once

#include "common/ipc/messages_entity.h"
#include "common/snapshot/entity.h"
#include "proxyd/api/parameters.h"
#include "proxyd/gate/route.h"

/* Who may ask. */
enum api_access {
	API_GUARDED, /* with auth_config whoever logged in; else programs on this machine */
	API_OPEN,    /* with auth_config everybody: it is part of logging in */
	API_SELF,    /* the holder of a virtual key, which is its credential, from anywhere */
};

/* What a request holds. */
enum api_body {
	API_NO_BODY,
	API_BODY_NEW,     /* an entity; required members must be there */
	API_BODY_PARTS,   /* some members of an entity; the others stay as they are */
	API_BODY_VERSION, /* nothing but expected_version, and not even that */
	API_BODY_LOGIN,
	API_BODY_IDS,
	API_BODY_KEYS,     /* keys of a provider, and what they shall be */
	API_BODY_OVERRIDE, /* of a budget */
};

/* What an answer holds. */
enum api_answer {
	API_ANSWER_PAGE,    /* {PLURAL: [..], count, total_count, limit, offset} */
	API_ANSWER_ENTITY,  /* {NAME: {..}} */
	API_ANSWER_CHANGED, /* {message, NAME: {..}} */
	API_ANSWER_MESSAGE, /* {message} */
	API_ANSWER_OBJECT,  /* any other object */
	API_ANSWER_TEXT,    /* a JSON string */
};

struct api_operation {
	struct route route; /* first: x->route is it */
	const char *id;     /* unique; clients that are generated call it so */
	const char *tag;
	const char *summary;                    /* one line */
	const char *doc;                        /* more about it; NULL */
	const struct api_parameter *parameters; /* ended by one without a name; NULL: none */
	uint32_t type;                          /* enum bf_entity_type; 0: of no entity */
	int32_t action;                         /* enum bf_entity_action, of changes */
	enum api_access access;
	enum api_body body;
	enum api_answer answer;
	const char *only;   /* there is one: its id; else NULL */
	const char *member; /* of the body, which holds the entity; NULL: the body is it */
	/* A member that may stand in its place: another entity, of which there is one. */
	struct {
		const char *member;
		uint32_t type;
		const char *only;
	} instead;
	bool parts; /* about parts of entities: budgets, rate limits, keys of providers */
	/* Of pages: what an answer calls them, when the entity's plural is not it. */
	const char *plural;
	int http_status; /* when all is well */
};

/* What bodies and answers are made of; NULL: nothing that has a table. */
static inline const struct bf_entity_def *api_def_of(const struct api_operation *op)
{
	return op->parts ? bf_entity_part(op->type) : bf_entity_def(op->type);
}

extern const struct api_operation api_operations[];
extern const size_t api_operation_count;

static inline const struct api_operation *api_operation_of(const struct exchange *x)
{
	return (const struct api_operation *)x->route;
}

/* "GET" of its route. */
const char *api_method_name(enum exchange_method method);
