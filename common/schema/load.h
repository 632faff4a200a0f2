/*
 * From the bytes of a YAML or JSON file to a checked struct bf_config. Reports every error of the
 * file in one run, with file:line:col and the nearest valid name; applies nothing unless everything
 * is valid. Run only by the throw-away helper and by `bifrost --check`: the supervisor never parses
 * YAML itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/schema/config.h"

struct bf_diag {
	bool is_warning;
	uint32_t line, col;   /* 1-based; 0: the file as a whole */
	struct bf_slice text; /* what is wrong and how to mend it */
};

struct bf_diags {
	struct bf_arena *arena;
	struct bf_slice file;
	struct bf_array list; /* of struct bf_diag, at most 100, in file order; then one that says
				 how many more */
	uint32_t error_count, warning_count;
};

#define BF_CONFIG_MAX_BYTES (8u << 20)

/*
 * getenv-like look-up and file reading are passed in, so that tests and fuzzers control them.
 * read_file returns 0 and a slice in the arena, or -errno.
 */
struct bf_config_env {
	const char *(*get_env)(void *ctx, const char *name);
	int (*read_file)(void *ctx, const char *path, struct bf_arena *arena,
			 struct bf_slice *ret_text);
	void *ctx;
};

/* The real environment; files up to 1 MiB, one trailing newline removed. */
extern const struct bf_config_env bf_config_env_system;

/*
 * 0 when diags hold no error; otherwise ret_config is untouched. The config refers to the arena.
 * file_name is for messages, for the folder at which relative file.PATH references start, and
 * ".json" at its end asks for strict JSON.
 */
int bf_config_load(struct bf_slice file_name, struct bf_slice bytes,
		   const struct bf_config_env *env, struct bf_arena *arena,
		   struct bf_config *ret_config, struct bf_diags *ret_diags);

/* "FILE:LINE:COL: error: text" lines. */
int bf_diags_print(const struct bf_diags *diags, struct bf_buf *out);

/*
 * What the helper hands to the supervisor over a pipe: one msgpack map (bf_bundle_table). Each
 * slice is a struct bf_config encoded for one audience; the supervisor decodes its own and passes
 * the others on, unread, in sealed memfds.
 */
struct bf_bundle {
	bool ok;
	struct bf_slice diagnostics; /* lines of bf_diags_print */
	struct bf_slice for_supervisor, for_proxyd, for_clusterd, for_discoveryd, for_writerd;
};

extern const struct bf_table bf_bundle_table;

#define BF_BUNDLE_MAX_BYTES (64u << 20)

/*
 * Appends to names the dotted names of fields of this reload class that differ between a and b and
 * that audience may see, separated by ", ". Returns their number.
 */
int bf_table_diff(const struct bf_table *table, const void *a, const void *b, uint16_t audience,
		  enum bf_reload reload, struct bf_buf *names);
