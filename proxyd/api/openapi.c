/*
 * The OpenAPI document. Called by its route and by `bifrost --dump-openapi`. Must never say what
 * the tables do not: whoever changes them changes it.
 */
#include "proxyd/api/openapi.h"

#include <stdio.h>
#include <string.h>

#include "common/codec/json_writer.h"
#include "common/schema/config_owners.h"
#include "common/snapshot/entity.h"
#include "proxyd/api/openapi_schema.h"
#include "proxyd/api/operations.h"

#define SCHEMAS   "#/components/schemas/"
#define RESPONSES "#/components/responses/"

static void pair(struct bf_json_writer *w, const char *key, const char *value)
{
	bf_jw_key(w, key);
	bf_jw_cstr(w, value);
}

static void open_object(struct bf_json_writer *w, const char *key)
{
	bf_jw_key(w, key);
	bf_jw_object(w);
}

static void open_array(struct bf_json_writer *w, const char *key)
{
	bf_jw_key(w, key);
	bf_jw_array(w);
}

/* {"$ref": "#/components/schemas/NAME" SUFFIX} */
static void reference(struct bf_json_writer *w, const char *where, const char *name,
		      const char *suffix)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "%s%s%s", where, name, suffix);

	bf_jw_object(w);
	bf_jw_key(w, "$ref");
	bf_jw_string(w, (struct bf_slice){text, (size_t)n});
	bf_jw_end_object(w);
}

/* ---- parameters */

static void write_form(struct bf_json_writer *w, const struct api_parameter *p)
{
	open_object(w, "schema");
	switch (p->kind) {
	case API_TEXT:
		pair(w, "type", "string");
		bf_jw_key(w, "minLength");
		bf_jw_u64(w, 1);
		bf_jw_key(w, "maxLength");
		bf_jw_u64(w, p->max);
		break;
	case API_NUMBER:
		pair(w, "type", "integer");
		bf_jw_key(w, "minimum");
		bf_jw_u64(w, p->min);
		bf_jw_key(w, "maximum");
		bf_jw_u64(w, p->max);
		break;
	case API_FLAG:
		pair(w, "type", "boolean");
		break;
	}
	if (p->dflt) {
		bf_jw_key(w, "default");
		bf_jw_u64(w, p->dflt);
	}
	bf_jw_end_object(w);
}

static void write_segment(struct bf_json_writer *w, struct bf_slice name)
{
	bf_jw_object(w);
	bf_jw_key(w, "name");
	bf_jw_string(w, name);
	pair(w, "in", "path");
	bf_jw_key(w, "required");
	bf_jw_bool(w, true);
	open_object(w, "schema");
	pair(w, "type", "string");
	bf_jw_key(w, "minLength");
	bf_jw_u64(w, 1);
	bf_jw_key(w, "maxLength");
	bf_jw_u64(w, BF_ENTITY_ID_MAX);
	bf_jw_end_object(w);
	bf_jw_end_object(w);
}

static void write_segments(struct bf_json_writer *w, struct bf_slice path)
{
	const char *open, *close;

	while (path.len && (open = memchr(path.ptr, '{', path.len)) != NULL) {
		close = memchr(open, '}', path.len - (size_t)(open - path.ptr));
		write_segment(w, (struct bf_slice){open + 1, (size_t)(close - open - 1)});
		path = (struct bf_slice){close + 1, path.len - (size_t)(close + 1 - path.ptr)};
	}
}

static void write_parameters(struct bf_json_writer *w, const struct api_operation *op)
{
	open_array(w, "parameters");
	write_segments(w, op->route.path);
	for (const struct api_parameter *p = op->parameters; p && p->name; p++) {
		bf_jw_object(w);
		pair(w, "name", p->name);
		pair(w, "in", "query");
		pair(w, "description", p->doc);
		if (p->required) {
			bf_jw_key(w, "required");
			bf_jw_bool(w, true);
		}
		write_form(w, p);
		bf_jw_end_object(w);
	}
	bf_jw_end_array(w);
}

/* ---- bodies and answers */

static const char *body_schema(const struct api_operation *op, const char **ret_suffix)
{
	*ret_suffix = "";
	switch (op->body) {
	case API_BODY_NEW:
		*ret_suffix = "_new";
		return api_def_of(op)->name;
	case API_BODY_PARTS:
		*ret_suffix = "_parts";
		return api_def_of(op)->name;
	case API_BODY_VERSION:
		return "version";
	case API_BODY_LOGIN:
		return "login";
	case API_BODY_IDS:
		return "ids";
	case API_BODY_KEYS:
		return "keys_batch";
	case API_BODY_OVERRIDE:
		return "budget_override";
	case API_NO_BODY:
		break;
	}
	return NULL;
}

static void open_content(struct bf_json_writer *w)
{
	open_object(w, "content");
	open_object(w, "application/json");
	bf_jw_key(w, "schema");
}

static void close_content(struct bf_json_writer *w)
{
	bf_jw_end_object(w);
	bf_jw_end_object(w);
}

static void write_body(struct bf_json_writer *w, const struct api_operation *op)
{
	const char *suffix, *name = body_schema(op, &suffix);

	if (!name)
		return;
	open_object(w, "requestBody");
	bf_jw_key(w, "required");
	bf_jw_bool(w, op->body != API_BODY_VERSION);
	open_content(w);
	if (op->member) {
		bf_jw_object(w);
		pair(w, "type", "object");
		open_array(w, "required");
		bf_jw_cstr(w, op->member);
		bf_jw_end_array(w);
		open_object(w, "properties");
		bf_jw_key(w, op->member);
	}
	reference(w, SCHEMAS, name, suffix);
	if (op->member) {
		bf_jw_end_object(w);
		bf_jw_end_object(w);
	}
	close_content(w);
	bf_jw_end_object(w);
}

static void write_count(struct bf_json_writer *w, const char *name)
{
	open_object(w, name);
	pair(w, "type", "integer");
	bf_jw_end_object(w);
}

static void write_page(struct bf_json_writer *w, const struct api_operation *op)
{
	const struct bf_entity_def *def = op->parts ? NULL : bf_entity_def(op->type);

	open_object(w, def ? def->plural : op->plural);
	pair(w, "type", "array");
	bf_jw_key(w, "items");
	if (def) {
		reference(w, SCHEMAS, def->name, "");
	} else {
		bf_jw_object(w);
		pair(w, "type", "object");
		bf_jw_end_object(w);
	}
	bf_jw_end_object(w);
	write_count(w, "count");
	write_count(w, "total_count");
	if (op->type == BF_ENTITY_PROVIDER)
		write_count(w, "total");
	write_count(w, "limit");
	write_count(w, "offset");
}

static void write_members(struct bf_json_writer *w, const struct api_operation *op)
{
	open_object(w, "properties");
	if (op->answer == API_ANSWER_CHANGED || op->answer == API_ANSWER_MESSAGE) {
		open_object(w, "message");
		pair(w, "type", "string");
		bf_jw_end_object(w);
	}
	if (op->answer == API_ANSWER_PAGE)
		write_page(w, op);
	if (op->answer == API_ANSWER_CHANGED || op->answer == API_ANSWER_ENTITY) {
		bf_jw_key(w, api_def_of(op)->name);
		reference(w, SCHEMAS, api_def_of(op)->name, "");
	}
	bf_jw_end_object(w);
}

static void write_answers(struct bf_json_writer *w, const struct api_operation *op)
{
	char status[8];

	(void)snprintf(status, sizeof(status), "%d", op->http_status);
	open_object(w, "responses");
	open_object(w, status);
	pair(w, "description", "It is done.");
	open_content(w);
	bf_jw_object(w);
	pair(w, "type", op->answer == API_ANSWER_TEXT ? "string" : "object");
	if (op->answer != API_ANSWER_TEXT && op->answer != API_ANSWER_OBJECT)
		write_members(w, op);
	bf_jw_end_object(w);
	close_content(w);
	bf_jw_end_object(w);
	bf_jw_key(w, "4XX");
	reference(w, RESPONSES, "refused", "");
	bf_jw_key(w, "5XX");
	reference(w, RESPONSES, "refused", "");
	bf_jw_end_object(w);
}

/* ---- operations */

static void write_need(struct bf_json_writer *w, const char *scheme)
{
	bf_jw_object(w);
	if (scheme) {
		open_array(w, scheme);
		bf_jw_end_array(w);
	}
	bf_jw_end_object(w);
}

static void write_security(struct bf_json_writer *w, enum api_access access)
{
	if (access == API_GUARDED)
		return; /* as the whole document */
	open_array(w, "security");
	if (access == API_SELF)
		write_need(w, "virtual_key");
	bf_jw_end_array(w);
}

static void write_operation(struct bf_json_writer *w, const struct api_operation *op)
{
	char method[8];
	size_t n = 0;

	for (const char *m = api_method_name(op->route.method); *m && n + 1 < sizeof(method); m++)
		method[n++] = (char)(*m | 0x20);
	method[n] = '\0';
	open_object(w, method);
	pair(w, "operationId", op->id);
	open_array(w, "tags");
	bf_jw_cstr(w, op->tag);
	bf_jw_end_array(w);
	pair(w, "summary", op->summary);
	if (op->doc)
		pair(w, "description", op->doc);
	write_security(w, op->access);
	write_parameters(w, op);
	write_body(w, op);
	write_answers(w, op);
	bf_jw_end_object(w);
}

static bool is_first(size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (bf_slice_eq(api_operations[i].route.path, api_operations[at].route.path))
			return false;
	}
	return true;
}

static void write_paths(struct bf_json_writer *w)
{
	open_object(w, "paths");
	for (size_t i = 0; i < api_operation_count; i++) {
		if (!is_first(i))
			continue;
		bf_jw_key_slice(w, api_operations[i].route.path);
		bf_jw_object(w);
		for (size_t k = i; k < api_operation_count; k++) {
			if (bf_slice_eq(api_operations[i].route.path, api_operations[k].route.path))
				write_operation(w, &api_operations[k]);
		}
		bf_jw_end_object(w);
	}
	bf_jw_end_object(w);
}

/* ---- components */

static bool is_used(uint32_t type)
{
	for (size_t i = 0; i < api_operation_count; i++) {
		const struct api_operation *op = &api_operations[i];

		if (op->type == type && op->answer != API_ANSWER_OBJECT && !op->parts)
			return true;
	}
	return false;
}

static void write_entity(struct bf_json_writer *w, const struct bf_entity_def *def,
			 const char *suffix, enum openapi_side side)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s%s", def->name, suffix);
	open_object(w, name);
	openapi_schema(w, def->table, side);
	bf_jw_end_object(w);
}

static void write_forms(struct bf_json_writer *w, const struct bf_entity_def *def)
{
	write_entity(w, def, "", OPENAPI_ANSWER);
	write_entity(w, def, "_new", OPENAPI_NEW);
	write_entity(w, def, "_parts", OPENAPI_PARTS);
}

static void write_simple(struct bf_json_writer *w, const char *name, const char *json)
{
	bf_jw_key(w, name);
	bf_jw_raw(w, bf_slice_from(json));
}

static void write_schemas(struct bf_json_writer *w)
{
	open_object(w, "schemas");
	for (uint32_t type = 1; type < BF_ENTITY_TYPE_MAX; type++) {
		const struct bf_entity_def *def = bf_entity_def(type);

		if (!def || !is_used(type))
			continue;
		write_forms(w, def);
		if (bf_entity_part(type))
			write_forms(w, bf_entity_part(type));
	}
	open_object(w, "budget_override");
	openapi_schema(w, &bf_override_table, OPENAPI_NEW);
	bf_jw_end_object(w);
	write_simple(w, "version",
		     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":"
		     "{\"expected_version\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":"
		     "9223372036854775807}}}");
	write_simple(w, "login",
		     "{\"type\":\"object\",\"required\":[\"username\",\"password\"],"
		     "\"properties\":{\"username\":{\"type\":\"string\"},"
		     "\"password\":{\"type\":\"string\",\"format\":\"password\"}}}");
	write_simple(w, "ids",
		     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"ids\"],"
		     "\"properties\":{\"ids\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,"
		     "\"items\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":128}}}}");
	write_simple(w, "keys_batch",
		     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":"
		     "[\"key_ids\",\"enabled\"],\"properties\":{\"key_ids\":{\"type\":\"array\","
		     "\"minItems\":1,\"maxItems\":256,\"items\":{\"type\":\"string\"}},"
		     "\"enabled\":{\"type\":\"boolean\"},\"expected_version\":{\"type\":"
		     "\"integer\",\"minimum\":1,\"maximum\":9223372036854775807}}}");
	write_simple(
	    w, "problem",
	    "{\"type\":\"object\",\"properties\":{"
	    "\"type\":{\"type\":\"string\"},\"is_bifrost_error\":{\"type\":\"boolean\"},"
	    "\"status_code\":{\"type\":\"integer\"},"
	    "\"error\":{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},"
	    "\"message\":{\"type\":\"string\"},\"param\":{\"type\":\"string\"}}},"
	    "\"detail\":{\"type\":\"object\",\"description\":\"A problem document of RFC "
	    "9457.\"}}}");
	bf_jw_end_object(w);
}

static void write_components(struct bf_json_writer *w)
{
	open_object(w, "components");
	write_schemas(w);
	open_object(w, "responses");
	open_object(w, "refused");
	pair(w, "description", "It is not done; the text says why and how to mend it.");
	open_content(w);
	reference(w, SCHEMAS, "problem", "");
	close_content(w);
	bf_jw_end_object(w);
	bf_jw_end_object(w);
	open_object(w, "securitySchemes");
	write_simple(w, "basic", "{\"type\":\"http\",\"scheme\":\"basic\"}");
	write_simple(w, "bearer", "{\"type\":\"http\",\"scheme\":\"bearer\"}");
	write_simple(w, "session", "{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"token\"}");
	write_simple(w, "virtual_key",
		     "{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"x-bf-vk\"}");
	bf_jw_end_object(w);
	bf_jw_end_object(w);
}

int openapi_write(struct bf_buf *out, const char *version)
{
	static const char *const schemes[] = {"basic", "bearer", "session", NULL};
	struct bf_json_writer w;

	bf_jw_init(&w, out);
	bf_jw_object(&w);
	pair(&w, "openapi", "3.1.0");
	open_object(&w, "info");
	pair(&w, "title", "Bifrost management API");
	pair(&w, "version", version);
	bf_jw_end_object(&w);
	open_array(&w, "security");
	for (size_t i = 0; i < BF_ARRAY_LEN(schemes); i++)
		write_need(&w, schemes[i]);
	bf_jw_end_array(&w);
	write_paths(&w);
	write_components(&w);
	bf_jw_end_object(&w);
	return bf_jw_finish(&w);
}
