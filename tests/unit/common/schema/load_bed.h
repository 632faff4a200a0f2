/* Loads a text with an environment of the test's own and keeps the diagnostics as text. */
#pragma once

#include "table_bed.h"

#include <errno.h>
#include <stdio.h>

#include "common/schema/load.h"

struct load_bed {
	struct bf_arena arena;
	struct bf_config config;
	struct bf_diags diags;
	struct bf_buf text;
	int result;
};

static inline const char *bed_get_env(void *ctx, const char *name)
{
	(void)ctx;
	if (strcmp(name, "KEY") == 0)
		return "hunter2";
	if (strcmp(name, "PORT") == 0)
		return "8081";
	if (strcmp(name, "EMPTY") == 0)
		return "";
	if (strcmp(name, "LATIN1") == 0)
		return "caf\xe9";
	return NULL;
}

static inline int bed_read_file(void *ctx, const char *path, struct bf_arena *arena,
				struct bf_slice *ret_text)
{
	(void)ctx;
	if (strcmp(path, "/etc/secret") == 0 || strcmp(path, "conf/secret") == 0 ||
	    strcmp(path, "secret") == 0) {
		*ret_text = bf_arena_dup(arena, BF_SLICE_LIT("hunter3"));
		return ret_text->ptr ? 0 : -ENOMEM;
	}
	if (strcmp(path, "/etc/huge") == 0)
		return -EFBIG;
	return strcmp(path, "/etc/forbidden") == 0 ? -EACCES : -ENOENT;
}

static const struct bf_config_env bed_env = {bed_get_env, bed_read_file, NULL};

static inline void bed_load_bytes(struct load_bed *b, const char *name, const void *bytes,
				  size_t len)
{
	memset(b, 0, sizeof(*b));
	bf_arena_init(&b->arena, (size_t)256 << 20);
	bf_buf_init(&b->text, 1 << 20);
	b->result = bf_config_load(bf_slice_from(name), (struct bf_slice){bytes, len}, &bed_env,
				   &b->arena, &b->config, &b->diags);
	assert_int_equal(b->result == 0, b->diags.error_count == 0);
	assert_int_equal(bf_diags_print(&b->diags, &b->text), 0);
	assert_int_equal(bf_buf_append(&b->text, "", 1), 0);
}

static inline const char *bed_load(struct load_bed *b, const char *yaml)
{
	bed_load_bytes(b, "x.yaml", yaml, strlen(yaml));
	return b->text.data + b->text.start;
}

static inline void bed_done(struct load_bed *b)
{
	bf_buf_done(&b->text);
	bf_arena_done(&b->arena);
}

/* Appended to texts that are about something else. */
#define MOCK "providers: {mock: {}}\n"

/* The diagnostics of a text must be exactly these lines. */
static inline void bed_says(const char *yaml, const char *lines)
{
	struct load_bed b;

	assert_string_equal(bed_load(&b, yaml), lines);
	bed_done(&b);
}

/* The diagnostics must hold this line among others. */
static inline void bed_mentions(const char *yaml, const char *part)
{
	struct load_bed b;
	const char *text = bed_load(&b, yaml);

	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
	bed_done(&b);
}

static inline void bed_accepts(const char *yaml)
{
	bed_says(yaml, "");
}
