/*
 * Attempts. Called by the gate once a request is admitted. Must never choose a key that does not
 * admit the model.
 */
#include "proxyd/gate/call.h"

#include <stdio.h>
#include <string.h>

#include "common/base/rand.h"
#include "proxyd/gate/relay.h"
#include "proxyd/provider/key.h"
#include "proxyd/provider/provider.h"

static void call_no_key(struct exchange *x)
{
	char text[256];
	const struct exchange_outcome outcome = {
	    .fault = EXCHANGE_FAULT_LOCAL,
	    .http_status = 400,
	    .error_type = "no_provider_key",
	    .error_text = text,
	};

	(void)snprintf(text, sizeof(text),
		       "no enabled key of provider \"%.*s\" admits the model \"%.*s\"",
		       BF_SLICE_FMT(x->provider), (int)BF_MIN(x->model.len, 100u), x->model.ptr);
	x->sink->on_done(x, &outcome);
}

void call_start(struct exchange *x)
{
	struct provider *p = provider_find(x->worker->providers, x->provider);
	uint64_t random;

	bf_rand_bytes(&random, sizeof(random));
	relay_attach(x);
	if (provider_key_choose(p->conf, x->model, random, &x->key) == PROVIDER_KEY_NONE) {
		call_no_key(x);
		return;
	}
	if (x->key) {
		struct bf_slice name = x->key->name;
		memcpy(x->record.key_name, name.ptr, BF_MIN(name.len, sizeof(x->record.key_name)));
	}
	p->ops->start(p, x);
}
