/*
 * What a provider tells when it is asked for its models: read whole and cut at each of the first
 * bytes. Aborts when a name comes out that no request could carry, or one stands there twice.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/schema/model_catalog.h"
#include "proxyd/gate/listing_read.h"

#define CUTS_MAX 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct listing_names *list, struct bf_arena *arena)
{
	const struct bf_array names = {list->names, list->count};

	if (list->count + list->left_out > BF_MODEL_CATALOG_MAX)
		abort();
	for (uint32_t i = 0; i < list->count; i++) {
		if (bf_model_name_check(list->names[i], NULL) < 0)
			abort();
	}
	if (bf_model_catalog_twice(&names, arena) != (int64_t)list->count)
		abort();
}

static void read_list(const char *text, size_t len)
{
	struct bf_arena scratch, arena;
	struct listing_names list;
	struct bf_err err = {0};
	char *copy = malloc(len + 1);

	if (!copy)
		return;
	memcpy(copy, text, len);
	bf_arena_init(&scratch, 32u << 20);
	bf_arena_init(&arena, 32u << 20);
	if (listing_read(&list, (struct bf_slice){copy, len}, &scratch, &arena, &err) == 0)
		check(&list, &arena);
	else if (!err.text[0])
		abort();
	bf_arena_done(&scratch);
	bf_arena_done(&arena);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	read_list(text, size);
	for (size_t len = 0; len < size && len < CUTS_MAX; len++)
		read_list(text, len);
	return 0;
}
