/* The snapshot that writerd would make of a configuration, for tests of those who obey it. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/crypt/seal.h"
#include "common/snapshot/builder.h"

static const uint8_t snapshot_of_pepper[BF_SNAPSHOT_PEPPER_LEN] = "a pepper for tests, of 32 bytes";

static inline void snapshot_of_no(const struct bf_err *err)
{
	(void)fprintf(stderr, "snapshot_of: %s\n", err->text);
	abort();
}

static inline void snapshot_of_add(struct bf_snapshot_builder *b, uint32_t type, const void *object,
				   uint64_t version)
{
	const struct bf_entity_def *def = bf_entity_def(type);
	struct bf_err err = {.code = 0};
	struct bf_entity e;
	struct bf_buf body;

	bf_buf_init(&body, BF_ENTITY_BODY_MAX);
	if (bf_entity_encode(type, object, &body, &e) < 0)
		abort();
	e.version = version;
	if (def->has_secret && def->value_offset)
		bf_hmac(snapshot_of_pepper,
			*(const struct bf_slice *)(const void *)((const char *)object +
								 def->value_offset),
			e.secret);
	if (bf_snapshot_builder_add(b, &e, &err) < 0)
		snapshot_of_no(&err);
	bf_buf_done(&body);
}

static inline void snapshot_of_list(struct bf_snapshot_builder *b, uint32_t type,
				    const struct bf_array *list)
{
	size_t size = bf_entity_def(type)->table->size;

	for (uint32_t i = 0; i < list->count; i++)
		snapshot_of_add(b, type, (const char *)list->items + i * size, 1);
}

static inline struct bf_snapshot_builder *snapshot_of_begin(bool is_overlay, uint64_t base_id)
{
	struct bf_snapshot_builder *b = NULL;
	struct bf_err err = {.code = 0};

	if (bf_snapshot_builder_open(&b, is_overlay, base_id, snapshot_of_pepper, &err) < 0)
		snapshot_of_no(&err);
	return b;
}

/* The memfd; ends the builder. */
static inline int snapshot_of_finish(struct bf_snapshot_builder *b)
{
	struct bf_err err = {.code = 0};
	int fd = bf_snapshot_builder_finish(b, &err);

	if (fd < 0)
		snapshot_of_no(&err);
	bf_snapshot_builder_close(b);
	return fd;
}

/* The same mapped; bf_snapshot_unmap() ends it. */
static inline struct bf_snapshot_blob *snapshot_of_end(struct bf_snapshot_builder *b)
{
	struct bf_snapshot_blob *blob = NULL;
	struct bf_err err = {.code = 0};
	int fd = snapshot_of_finish(b);

	if (bf_snapshot_map(fd, &blob, &err) < 0)
		snapshot_of_no(&err);
	(void)close(fd);
	return blob;
}

/* A base of all entities of a configuration as the loader left it: a memfd. */
static inline int snapshot_of_config(const struct bf_config *config, uint64_t base_id)
{
	const struct bf_conf_governance *g = &config->governance;
	struct bf_snapshot_builder *b = snapshot_of_begin(false, base_id);

	snapshot_of_list(b, BF_ENTITY_CUSTOMER, &g->customers);
	snapshot_of_list(b, BF_ENTITY_TEAM, &g->teams);
	snapshot_of_list(b, BF_ENTITY_RATE_LIMIT, &g->rate_limits);
	snapshot_of_list(b, BF_ENTITY_VIRTUAL_KEY, &g->virtual_keys);
	snapshot_of_list(b, BF_ENTITY_MODEL_CONFIG, &g->model_configs);
	snapshot_of_list(b, BF_ENTITY_PROVIDER_LIMITS, &g->providers);
	snapshot_of_list(b, BF_ENTITY_PRICING_OVERRIDE, &g->pricing_overrides);
	if (g->auth_config.id.len)
		snapshot_of_add(b, BF_ENTITY_AUTH_CONFIG, &g->auth_config, 1);
	return snapshot_of_finish(b);
}
