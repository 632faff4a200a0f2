/*
 * A change that forgives what was used of an entity's limits. Called by change.c, behind the group
 * that it came with: limits that this brought are there then. Must never answer before the store
 * has it, and changes nothing of the entity, so its version stays.
 */
#include "common/log/log.h"
#include "common/schema/decimal.h"
#include "writerd/change/change_priv.h"
#include "writerd/entity/entity_refs.h"
#include "writerd/limits/limited.h"
#include "writerd/limits/limits_reset.h"

#define LINES_MAX 64u /* of the log, for one entity */

static const char *amount_text(const struct limits_forgiven *f, char out[BF_DECIMAL_BYTES])
{
	return bf_decimal_format(f->amount, f->limit.quantity == BF_QUANTITY_NUSD ? 9 : 0, out);
}

/* Who forgave whom how much: there is no other trace of it but the sums. */
static void log_one(const struct change *c, const struct limits_forgiven *f)
{
	char amount[BF_DECIMAL_BYTES];

	bf_log(BF_LOG_INFO, "usage_reset",
	       "actor=%s owner=%s owner_id=%s limit_id=%s quantity=%s window=%lld forgiven=%s",
	       bf_log_quote_slice(c->ask->actor), bf_owner_name(f->limit.owner),
	       bf_log_quote_slice(f->limit.owner_id), bf_log_quote_slice(f->limit.limit_id),
	       bf_quantity_name(f->limit.quantity), (long long)f->window, amount_text(f, amount));
}

static void log_all(const struct change *c, const struct bf_array *forgiven)
{
	const struct limits_forgiven *items = forgiven->items;
	uint32_t told = 0;

	for (uint32_t i = 0; i < forgiven->count && told < LINES_MAX; i++) {
		if (items[i].amount == 0)
			continue;
		log_one(c, &items[i]);
		told++;
	}
}

static void write_text(struct bf_json_writer *w, const char *key, struct bf_slice text)
{
	bf_jw_key(w, key);
	bf_jw_string(w, text);
}

static void write_one(struct bf_json_writer *w, const struct limits_forgiven *f)
{
	char amount[BF_DECIMAL_BYTES];

	bf_jw_object(w);
	write_text(w, "owner_type", bf_slice_from(bf_owner_name(f->limit.owner)));
	write_text(w, "owner_id", f->limit.owner_id);
	write_text(w, "limit_id", f->limit.limit_id);
	write_text(w, "quantity", bf_slice_from(bf_quantity_name(f->limit.quantity)));
	bf_jw_key(w, "forgiven");
	bf_jw_raw(w, bf_slice_from(amount_text(f, amount)));
	bf_jw_key(w, "window_start");
	bf_time_write_json(bf_window_start_ms(&f->limit.window, f->window), w);
	bf_jw_key(w, "window_end");
	bf_time_write_json(bf_limit_window_end_ms(&f->limit, f->window), w);
	bf_jw_end_object(w);
}

static void write_answer(struct change *c, const struct bf_array *forgiven)
{
	const struct limits_forgiven *items = forgiven->items;
	struct bf_json_writer w;

	c->answer->http_status = 200;
	c->answer->version = c->before->e.version;
	bf_buf_clear(&c->answer->json);
	bf_jw_init(&w, &c->answer->json);
	bf_jw_object(&w);
	bf_jw_key(&w, "message");
	bf_jw_cstr(&w, "Usage reset successfully");
	bf_jw_key(&w, "reset");
	bf_jw_array(&w);
	for (uint32_t i = 0; i < forgiven->count; i++)
		write_one(&w, &items[i]);
	bf_jw_end_array(&w);
	bf_jw_end_object(&w);
	if (bf_jw_finish(&w) < 0)
		(void)change_no(c, 500, "internal_error",
				"the usage was reset, but the answer does not fit into memory");
}

static void reset(struct change *c)
{
	struct limits_reset r = {.type = (uint32_t)c->ask->type,
				 .id = c->id,
				 .limit_id = c->ask->sub_id,
				 .arena = c->arena};

	switch ((enum limits_reset_verdict)c->r->on_reset(c->r->owner, &r)) {
	case LIMITS_RESET_DONE:
		log_all(c, &r.forgiven);
		write_answer(c, &r.forgiven);
		break;
	case LIMITS_RESET_UNKNOWN:
		(void)change_no(c, 404, "not_found", "it has no limit with the id \"%.*s\"",
				BF_SLICE_FMT(r.limit_id));
		break;
	case LIMITS_RESET_NO_STORE:
		(void)change_no(c, 409, "logs_store_off",
				"usage can only be reset with a logs store, which remembers it: "
				"enable logs_store");
		break;
	case LIMITS_RESET_NOT_READY:
		(void)change_no(c, 503, "limits_not_ready",
				"its limits are being loaded: try again");
		break;
	case LIMITS_RESET_FAILED:
		(void)change_no(c, 503, "logs_store_failing", "%s", r.err.text);
		break;
	}
}

void change_reset(struct change *c)
{
	if (!c->r->t || !c->r->on_reset) {
		(void)change_no(c, 503, "limits_not_ready", "limits are being loaded: try again");
		return;
	}
	if (c->id.len)
		c->before = entities_live(c->r->t, (uint32_t)c->ask->type, c->id);
	if (!limited_may_be((uint32_t)c->ask->type))
		(void)change_no(c, 400, "invalid_request", "a %s has no limits",
				entity_noun((uint32_t)c->ask->type));
	else if (change_is_there(c) && change_version_fits(c))
		reset(c);
}
