/*
 * Bodies of requests, read as each of the four objects: collected whole and one byte at a time,
 * which must be read alike; then each target and what is asked of it is looked at as providers do
 * it, and what goes upstream must be the same request to the target's model. Aborts when not.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/govern/plan.h"
#include "proxyd/gate/infer.h"
#include "proxyd/gate/route.h"
#include "proxyd/provider/mock_text.h"
#include "proxyd/provider/openai_body.h"
#include "proxyd/worker.h"
#include "shm/slot.h"
#include "tests/support/by_hand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct shm_segment seg;
	struct bf_config config;
	struct bf_conf_provider provider;
	struct worker worker;
	struct provider_net net;
};

static struct world *world_new(void)
{
	static const uint8_t boot[16];
	struct world *w = calloc(1, sizeof(*w));
	struct bf_err err = {0};
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (!w || fd < 0 || shm_segment_create(fd, boot, &err) < 0 ||
	    shm_segment_attach(fd, false, boot, &w->seg, &err) < 0)
		abort();
	(void)close(fd);
	int slot = shm_slot_assign(&w->seg, 2, 0);
	shm_slot_set_pid(&w->seg, (uint32_t)slot, 1);
	if (shm_slot_enter(&w->seg, (uint32_t)slot, 1, 1, 1) < 0)
		abort();
	w->provider.name = BF_SLICE_LIT("mock");
	w->config.providers = (struct bf_array){&w->provider, 1};
	w->config.client.max_request_body_size_bytes = 1 << 20;
	w->config.server.body_memory_bytes = 4 << 20;
	worker_init(&w->worker, NULL, &w->seg, (uint32_t)slot, &w->config);
	by_hand_open(&w->worker, &w->net);
	return w;
}

static const struct route routes[] = {
    {.object = SHM_OBJECT_CHAT, .dialect = ERROR_UNIFIED},
    {.object = SHM_OBJECT_COMPLETION, .dialect = ERROR_OPENAI},
    {.object = SHM_OBJECT_EMBEDDING, .dialect = ERROR_UNIFIED},
    {.object = SHM_OBJECT_RESPONSES, .dialect = ERROR_OPENAI},
};

struct seen {
	int r, status;
	bool stream, usage;
	uint32_t targets;
	uint32_t edits[6];
	char provider[EXCHANGE_TARGETS_MAX][64];
	char model[EXCHANGE_TARGETS_MAX][INFER_MODEL_MAX + 1];
	uint64_t words;
};

static void copy_slice(char *to, size_t size, struct bf_slice from)
{
	if (from.len == 0 || from.len >= size)
		abort();
	memcpy(to, from.ptr, from.len);
}

/* Every target is complete and names a configured provider; the first is where it goes. */
static void look_at_targets(const struct world *w, const struct exchange *x, struct seen *s)
{
	if (x->target_count == 0 || x->target_count > EXCHANGE_TARGETS_MAX || x->target != 0 ||
	    x->targets[0].model.ptr != x->model.ptr || x->model_edit.to == 0)
		abort();
	s->targets = x->target_count;
	for (uint32_t i = 0; i < x->target_count; i++) {
		if (!provider_find(w->worker.providers, x->targets[i].provider))
			abort();
		copy_slice(s->provider[i], sizeof(s->provider[i]), x->targets[i].provider);
		copy_slice(s->model[i], sizeof(s->model[i]), x->targets[i].model);
	}
}

/* What stands in schemas is the provider's to check. */
static void parse(struct exchange *x, struct bf_slice text, struct bf_json_tape *ret_tape)
{
	static const struct bf_slice unread[] = {BF_SLICE_INIT("tools"),
						 BF_SLICE_INIT("functions"),
						 BF_SLICE_INIT("response_format"),
						 {NULL, 0}};
	struct bf_json_limits limits = bf_json_default_limits;
	struct bf_arena *arena = &x->worker->tape_arena;

	limits.skimmed = unread;
	if (arena->used_bytes != 0 || bf_json_parse(ret_tape, text, arena, &limits, NULL) < 0)
		abort();
}

static void look_at_messages(struct exchange *x, struct seen *s)
{
	struct bf_json_tape t;
	uint32_t list;

	parse(x, x->body, &t);
	list = bf_json_member(&t, 0, "messages");
	for (uint32_t m = bf_json_first(list); m < t.tokens[list].next; m = t.tokens[m].next) {
		struct bf_slice left = mock_message_text(&t, m, &x->arena);
		s->words += mock_count_words(left);
		while (left.len && mock_next_word(&left).len > 0)
			;
		if (left.len)
			abort();
	}
	bf_arena_reset(&x->worker->tape_arena);
}

/* JSON as before, to this model, without fallbacks, and with the option where it was to come in. */
static void look_at_spliced(struct exchange *x)
{
	static char text[65536 + 1024];
	struct iovec pieces[OPENAI_PIECES_MAX];
	struct bf_json_tape t;
	struct bf_slice model = {NULL, 0};
	bool usage = false;
	size_t len = 0;
	int n = openai_body_splice(x, true, pieces);

	if (n < 1 || n > (int)OPENAI_PIECES_MAX)
		abort();
	for (int i = 0; i < n; i++) {
		if (pieces[i].iov_len > sizeof(text) - len)
			abort();
		memcpy(text + len, pieces[i].iov_base, pieces[i].iov_len);
		len += pieces[i].iov_len;
	}
	parse(x, (struct bf_slice){text, len}, &t);
	if (bf_json_string(&t, bf_json_member(&t, 0, "model"), &x->arena, &model) < 0 ||
	    !bf_slice_eq(model, x->model) || bf_json_member(&t, 0, "fallbacks") != BF_JSON_NONE)
		abort();
	uint32_t options = bf_json_member(&t, 0, "stream_options");
	if (x->usage_edit.to &&
	    (bf_json_bool(&t, bf_json_member(&t, options, "include_usage"), &usage) < 0 || !usage))
		abort();
	bf_arena_reset(&x->worker->tape_arena);
}

static void note_edits(const struct exchange *x, struct seen *s)
{
	const struct exchange_edit *edits[] = {&x->model_edit, &x->fallbacks_edit, &x->usage_edit};

	for (size_t i = 0; i < BF_ARRAY_LEN(edits); i++) {
		if (edits[i]->from > edits[i]->to || edits[i]->to > x->body.len)
			abort();
		s->edits[2 * i] = edits[i]->from;
		s->edits[2 * i + 1] = edits[i]->to;
	}
}

static void look_at(const struct world *w, struct exchange *x, struct seen *s)
{
	s->stream = x->wants_stream;
	s->usage = x->wants_usage_chunk;
	if (x->route->object == SHM_OBJECT_EMBEDDING && x->wants_stream)
		abort();
	note_edits(x, s);
	look_at_targets(w, x, s);
	if (x->route->object == SHM_OBJECT_CHAT)
		look_at_messages(x, s);
	look_at_spliced(x);
}

static const struct bf_limit tokens = {.quantity = BF_QUANTITY_TOKENS, .max = 1000};
static const struct bf_limit *const limited_items[] = {&tokens};

/* It may ask mock, for bare names too. */
static struct bf_slice any_name[] = {BF_SLICE_INIT("*")}, denied_names[] = {BF_SLICE_INIT("no/m")};
static struct bf_conf_provider_config mock_config = {.provider = BF_SLICE_INIT("mock"),
						     .weight_micro = 1,
						     .allowed_models = {any_name, 1},
						     .blacklisted_models = {denied_names, 1},
						     .key_ids = {any_name, 1}};
static const struct bf_conf_virtual_key conf = {.provider_configs = {&mock_config, 1}};
static const struct bf_plan_key limited = {.conf = &conf, .always = {limited_items, 1, false}};

static void read_as(struct world *w, const struct route *route, struct seen *s, const uint8_t *data,
		    size_t size, size_t step)
{
	struct exchange *x = exchange_new(&w->worker);
	struct infer_error e = {0};

	if (!x)
		abort();
	memset(s, 0, sizeof(*s));
	x->route = route;
	x->virtual_key = &limited; /* what it may spend is read, too */
	for (size_t at = 0; at < size; at += step) {
		if (exchange_add_body(x, (const char *)data + at, BF_MIN(step, size - at)) < 0)
			abort();
	}
	x->body = bf_buf_slice(&x->body_bytes);
	s->r = infer_read(x, w->worker.providers, &e);
	if (x->spend.choices > INT32_MAX || x->spend.max_tokens > INT64_MAX ||
	    (x->spend.max_tokens && !x->spend.bounded))
		abort();
	if (s->r == 0)
		look_at(w, x, s);
	else if ((e.http_status != 400 && e.http_status != 403) || e.text[0] == '\0')
		abort();
	s->status = e.http_status;
	exchange_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world *w;
	static struct seen whole, single;

	if (size > 65536)
		return 0;
	if (!w)
		w = world_new();
	for (size_t i = 0; i < BF_ARRAY_LEN(routes); i++) {
		read_as(w, &routes[i], &whole, data, size, size ? size : 1);
		read_as(w, &routes[i], &single, data, size, 1);
		if (memcmp(&whole, &single, sizeof(whole)) != 0)
			abort();
	}
	if (w->worker.body_bytes != 0)
		abort();
	return 0;
}
