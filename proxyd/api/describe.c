/*
 * The operations for people. Called by the build, for docs/api.md. Must never say what the tables
 * do not.
 */
#include <string.h>

#include "common/schema/config_owners.h"
#include "common/snapshot/entity.h"
#include "proxyd/api/openapi.h"
#include "proxyd/api/openapi_schema.h"
#include "proxyd/api/operations.h"

static const char intro[] =
    "# The management API\n\n"
    "Everything below `/api/`, on the addresses of `server.listen`. With "
    "`governance.auth_config.is_enabled` each request needs `Authorization: Basic` with name and "
    "password, `Authorization: Bearer` with a session's token or an API key, or the cookie of a "
    "session; without, only programs on this machine are answered. `GET /api/openapi.json` is the "
    "same as an OpenAPI 3.1 document.\n\n"
    "Entities have a `version` that grows with every change; whoever gives an expected one, as "
    "`If-Match`, parameter or member `expected_version`, is refused with 409 when another change "
    "came first. A change is in force on every worker of the node before it is answered. Refusals "
    "are Bifrost's error body with a problem document of RFC 9457 in `detail`.\n";

static const char *const kinds[] = {
    [API_TEXT] = "text", [API_NUMBER] = "number", [API_FLAG] = "true or false"};

static int write_parameters(struct bf_buf *out, const struct api_operation *op)
{
	int r = 0;

	for (const struct api_parameter *p = op->parameters; r == 0 && p && p->name; p++)
		r = bf_buf_printf(out, "- `%s` (%s%s): %s\n", p->name, kinds[p->kind],
				  p->required ? ", required" : "", p->doc);
	return r;
}

static int write_body(struct bf_buf *out, const struct api_operation *op)
{
	const struct bf_table *table;
	int r;

	if (op->body == API_BODY_LOGIN)
		return bf_buf_printf(out, "\nBody: `username`, `password`.\n");
	if (op->body == API_BODY_IDS)
		return bf_buf_printf(out, "\nBody: `ids`, a list of 1 to 100.\n");
	if (op->body == API_BODY_KEYS)
		return bf_buf_printf(out,
				     "\nBody: `key_ids`, a list of 1 to 256, and `enabled`.\n");
	if (op->body != API_BODY_NEW && op->body != API_BODY_OVERRIDE)
		return 0;
	table = op->body == API_BODY_NEW ? api_def_of(op)->table : &bf_override_table;
	r = bf_buf_printf(out, "\nBody:\n\n");
	for (uint16_t i = 0; r == 0 && i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (openapi_shows(f, OPENAPI_NEW))
			r = bf_buf_printf(out, "- `%s`%s: %s\n", f->name,
					  f->flags & BF_REQUIRED ? " (required)" : "",
					  f->doc ? f->doc : "");
	}
	return r;
}

static int write_operation(struct bf_buf *out, const struct api_operation *op)
{
	int r = bf_buf_printf(out, "\n### %s %.*s\n\n%s", api_method_name(op->route.method),
			      BF_SLICE_FMT(op->route.path), op->summary);

	if (r == 0 && op->doc)
		r = bf_buf_printf(out, " %s", op->doc);
	if (r == 0)
		r = bf_buf_printf(out, " Answers %d.\n%s", op->http_status,
				  op->parameters ? "\n" : "");
	if (r == 0)
		r = write_parameters(out, op);
	return r == 0 ? write_body(out, op) : r;
}

int openapi_describe(struct bf_buf *out)
{
	const char *tag = "";
	int r = bf_buf_printf(out, "%s", intro);

	for (size_t i = 0; r == 0 && i < api_operation_count; i++) {
		if (strcmp(tag, api_operations[i].tag) != 0) {
			tag = api_operations[i].tag;
			r = bf_buf_printf(out, "\n## %s\n", tag);
		}
		if (r == 0)
			r = write_operation(out, &api_operations[i]);
	}
	return r;
}
