/* What bifrost-config hands to the supervisor: the description of struct bf_bundle. */
#include "common/base/macros.h"
#include "common/schema/load.h"

#define SLICE(member)                                                                              \
	{                                                                                          \
		.name = #member, .type = BF_T_BYTES,                                               \
		.offset = (uint32_t)offsetof(struct bf_bundle, member), .max = BF_BUNDLE_MAX_BYTES \
	}

static const struct bf_field bundle_fields[] = {
    {.name = "ok",
     .type = BF_T_BOOL,
     .offset = (uint32_t)offsetof(struct bf_bundle, ok),
     .flags = BF_REQUIRED},
    {.name = "diagnostics",
     .type = BF_T_STRING,
     .offset = (uint32_t)offsetof(struct bf_bundle, diagnostics),
     .max = 1 << 20},
    SLICE(for_supervisor),
    SLICE(for_proxyd),
    SLICE(for_clusterd),
    SLICE(for_discoveryd),
    SLICE(for_writerd),
};

const struct bf_table bf_bundle_table = {
    .name = "bundle",
    .fields = bundle_fields,
    .size = sizeof(struct bf_bundle),
    .field_count = BF_ARRAY_LEN(bundle_fields),
};
