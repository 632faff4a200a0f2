/* Tables of fields as JSON Schema of what the management API takes and gives. */
#pragma once

#include <stdbool.h>

#include "common/codec/json_writer.h"
#include "common/schema/field.h"

enum openapi_side {
	OPENAPI_NEW,    /* a body that makes an entity */
	OPENAPI_PARTS,  /* a body with some members of one */
	OPENAPI_ANSWER, /* one as it is shown */
};

/* The members type, properties and so on of an object that is open: the schema of an entity. */
void openapi_schema(struct bf_json_writer *w, const struct bf_table *table, enum openapi_side side);

/* Is it a member of bodies and answers? Older forms of the file are not. */
bool openapi_shows(const struct bf_field *f, enum openapi_side side);
