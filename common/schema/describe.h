/* Documents made from the tables: JSON schema, the reference part of bifrost.yaml(5), a commented
 * example. */
#pragma once

#include "common/base/buf.h"
#include "common/schema/field.h"

/* JSON Schema draft 2020-12. */
int bf_describe_json_schema(const struct bf_table *table, struct bf_buf *out);

/* mdoc(7) sections, one item per key: name, type, bounds, default, what a reload needs, text. */
int bf_describe_mdoc(const struct bf_table *table, struct bf_buf *out);

/* The same reference as Markdown, for docs/. */
int bf_describe_markdown(const struct bf_table *table, struct bf_buf *out);
