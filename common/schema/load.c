/*
 * A whole file, from bytes to a checked configuration. Called by bifrost-config, and by tests with
 * an environment of their own. Must never hand out a configuration of which anything was wrong.
 */
#include "common/schema/load.h"

#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "common/codec/utf8.h"
#include "common/schema/config_priv.h"
#include "common/schema/decode.h"

static struct bf_pos position(struct bf_slice bytes, size_t offset)
{
	struct bf_pos pos = {1, 1};

	for (size_t i = 0; i < offset; i++) {
		if (bytes.ptr[i] == '\n')
			pos = (struct bf_pos){pos.line + 1, 1};
		else if (((unsigned char)bytes.ptr[i] & 0xc0) != 0x80)
			pos.col++;
	}
	return pos;
}

static bool accept_bytes(struct bf_slice bytes, struct bf_diags *diags)
{
	size_t valid;

	if (bytes.len > BF_CONFIG_MAX_BYTES) {
		bf_diag(diags, BF_DIAG_ERROR, (struct bf_pos){0, 0},
			"larger than %u MB: this is no configuration file, or a part of it belongs "
			"into file.PATH",
			BF_CONFIG_MAX_BYTES >> 20);
		return false;
	}
	valid = bytes.len ? bf_utf8_valid_prefix(bytes.ptr, bytes.len) : 0;
	if (valid == bytes.len)
		return true;
	bf_diag(diags, BF_DIAG_ERROR, position(bytes, valid),
		"byte 0x%02x is not UTF-8: save the file with that encoding",
		(unsigned char)bytes.ptr[valid]);
	return false;
}

static struct bf_slice without_bom(struct bf_slice bytes)
{
	if (bf_slice_starts(bytes, BF_SLICE_LIT("\xef\xbb\xbf")))
		return (struct bf_slice){bytes.ptr + 3, bytes.len - 3};
	return bytes;
}

static bool has_suffix(struct bf_slice s, const char *suffix)
{
	size_t n = strlen(suffix);

	return s.ptr && s.len >= n && memcmp(s.ptr + s.len - n, suffix, n) == 0;
}

static bool opens_like_json(struct bf_slice bytes)
{
	size_t i = 0;

	while (i < bytes.len && memchr(" \t\r\n", bytes.ptr[i], 4))
		i++;
	return i < bytes.len && bytes.ptr[i] == '{';
}

/* "LINE:COL: what" of the JSON parser as a diagnostic of ours. */
static void report_json(struct bf_tree *tree, const struct bf_err *err)
{
	struct bf_pos pos = {0, 0};
	const char *text = err->text;
	char message[sizeof(err->text) + 16];
	int used = 0;

	if (sscanf(text, "%u:%u: %n", &pos.line, &pos.col, &used) == 2 && used > 0)
		text += used;
	(void)snprintf(message, sizeof(message), "not JSON: %s", text);
	bf_tree_fail(tree, pos, message);
}

/* A JSON file with a slip may still be YAML (comments, a trailing comma), unless its name says it
 * is JSON. */
static void read_tree(struct bf_slice file_name, struct bf_slice bytes, struct bf_tree *tree)
{
	struct bf_err err = {.code = 0};
	bool is_json = has_suffix(file_name, ".json");

	if (is_json || opens_like_json(bytes)) {
		if (bf_json_read(bytes, tree, &err) == 0)
			return;
		if (is_json) {
			report_json(tree, &err);
			return;
		}
	}
	bf_yaml_read(bytes, tree);
}

static struct bf_slice folder_of(struct bf_slice file_name)
{
	const char *slash = file_name.ptr ? memrchr(file_name.ptr, '/', file_name.len) : NULL;

	if (!slash)
		return (struct bf_slice){NULL, 0};
	/* "/x.yaml" stands in "/". */
	return (struct bf_slice){file_name.ptr,
				 slash == file_name.ptr ? 1 : (size_t)(slash - file_name.ptr)};
}

static struct bf_slice hash_of(struct bf_slice bytes, struct bf_arena *arena)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char text[2 * SHA256_DIGEST_LENGTH];

	(void)SHA256((const unsigned char *)(bytes.ptr ? bytes.ptr : ""), bytes.len, hash);
	for (size_t i = 0; i < sizeof(hash); i++) {
		text[2 * i] = digits[hash[i] >> 4];
		text[2 * i + 1] = digits[hash[i] & 15];
	}
	return bf_arena_dup(arena, (struct bf_slice){text, sizeof(text)});
}

static void decode_tree(struct bf_decoder *d, const struct bf_tree *tree, struct bf_slice bytes,
			struct bf_config *config)
{
	bf_decode_object(d, &bf_config_table, tree->root, config);
	bf_unbuilt_settle(d, tree->root, &config->supervisor.accept_unbuilt, &config->unbuilt);
	bf_config_complete(config, tree->root, d->arena, d->diags);
	config->governance_bytes = bf_governance_worst_bytes(&config->governance);
	config->config_hash = hash_of(bytes, d->arena);
	if (!config->config_hash.ptr)
		bf_diag(d->diags, BF_DIAG_ERROR, (struct bf_pos){0, 0},
			"the configuration does not fit into memory");
}

int bf_config_load(struct bf_slice file_name, struct bf_slice bytes,
		   const struct bf_config_env *env, struct bf_arena *arena,
		   struct bf_config *ret_config, struct bf_diags *ret_diags)
{
	struct bf_decoder decoder;
	struct bf_config config;
	struct bf_tree tree;

	bf_diags_init(ret_diags, file_name, arena);
	bf_tree_init(&tree, arena, ret_diags);
	bf_decoder_init(&decoder, arena, ret_diags, env, folder_of(file_name));
	if (accept_bytes(bytes, ret_diags)) {
		read_tree(file_name, without_bom(bytes), &tree);
		/* Half a file would only add errors about what its other half holds. */
		if (!tree.failed)
			decode_tree(&decoder, &tree, bytes, &config);
	}
	bf_diags_finish(ret_diags);
	if (ret_diags->error_count)
		return BF_E_SYNTAX;
	*ret_config = config;
	return 0;
}
