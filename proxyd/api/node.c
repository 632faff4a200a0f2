/*
 * What this node is and how it is configured. Called by the route table. Must never show a secret.
 */
#include <string.h>

#include "common/codec/json_writer.h"
#include "proxyd/api/auth.h"
#include "proxyd/api/handlers.h"
#include "proxyd/api/openapi.h"
#include "proxyd/api/refuse.h"
#include "proxyd/api/request.h"

/* Some of it a worker has of its own slice, the rest of what is in force. */
#define CLIENT_SIDE (BF_FOR_PROXYD | BF_FOR_WRITERD)

static const struct bf_slice nobody = {NULL, 0};

/* Everything written into the worker's scratch, or an error. */
static void finish(struct exchange *x, int code)
{
	if (code < 0)
		api_refuse(x, 503, "out_of_memory", nobody, "no memory for the answer");
	else
		api_answer(x, 200, nobody, bf_buf_slice(&x->worker->text));
}

static bool begin(struct exchange *x)
{
	struct api_values values;

	bf_buf_clear(&x->worker->text);
	return request_parameters(x, api_operation_of(x), &values);
}

void api_version(struct exchange *x)
{
	struct bf_json_writer w;

	if (!begin(x))
		return;
	bf_jw_init(&w, &x->worker->text);
	bf_jw_cstr(&w, x->worker->version);
	finish(x, bf_jw_finish(&w));
}

void api_openapi(struct exchange *x)
{
	if (begin(x))
		finish(x, openapi_write(&x->worker->text, x->worker->version));
}

/* ---- the configuration */

/* Bifrost calls two blocks of the file otherwise here. */
static const char *answer_name(const char *name)
{
	if (strcmp(name, "client") == 0)
		return "client_config";
	return strcmp(name, "framework") == 0 ? "framework_config" : name;
}

static void write_auth(struct bf_json_writer *w, struct worker *worker)
{
	bool on = worker->api && auth_state(worker) == AUTH_ON;

	bf_jw_key(w, "auth_config");
	bf_jw_object(w);
	bf_jw_key(w, "is_enabled");
	bf_jw_bool(w, on);
	if (on) {
		bf_jw_key(w, "admin_username");
		bf_jw_cstr(w, worker->api->username);
		bf_jw_key(w, "disable_auth_on_inference");
		bf_jw_bool(w, !worker->api->of_inference);
	}
	bf_jw_end_object(w);
}

/* Owners, keys and limits are entities: they have paths of their own. */
void api_config(struct exchange *x)
{
	const struct bf_table *table = &bf_config_table;
	const char *config = (const char *)x->worker->config;
	struct bf_json_writer w;

	if (!begin(x))
		return;
	bf_jw_init(&w, &x->worker->text);
	bf_jw_object(&w);
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (f->type != BF_T_OBJECT || !(f->audience & BF_FOR_PROXYD) ||
		    strcmp(f->name, "governance") == 0)
			continue;
		bf_jw_key(&w, answer_name(f->name));
		if (strcmp(f->name, "client") == 0)
			bf_table_show_json(f->sub, x->worker->client, CLIENT_SIDE, &w);
		else
			bf_table_show_json(f->sub, config + f->offset, BF_FOR_PROXYD, &w);
	}
	write_auth(&w, x->worker);
	bf_jw_end_object(&w);
	finish(x, bf_jw_finish(&w));
}
