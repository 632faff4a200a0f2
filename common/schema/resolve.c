/*
 * env.NAME and file.PATH in place of a value. Called by the decoder for every scalar. Must never
 * show what a reference resolved to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/codec/utf8.h"
#include "common/schema/decode.h"

#define REFERENCED_FILE_MAX_BYTES ((size_t)1 << 20)

static bool is_env_name(const char *name)
{
	size_t i = 0;

	for (; name[i]; i++) {
		char c = name[i];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';

		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return i > 0;
}

static int resolve_env(struct bf_decoder *d, const struct bf_node *node, const char *where,
		       struct bf_slice *ret_text)
{
	const char *name = node->text.ptr + strlen("env.");

	if (!is_env_name(name)) {
		bf_diag(d->diags, BF_DIAG_ERROR, node->pos,
			"%s: \"%.80s\" names no environment variable: write env.NAME with letters, "
			"digits and _",
			where, node->text.ptr);
		return BF_E_SYNTAX;
	}
	const char *value = d->env->get_env(d->env->ctx, name);
	if (!value) {
		bf_diag(d->diags, BF_DIAG_ERROR, node->pos,
			"%s: environment variable %.120s is not set: set it before the start, or "
			"write the value",
			where, name);
		return BF_E_MISSING;
	}
	*ret_text = bf_slice_from(value);
	return 0;
}

static int resolve_file(struct bf_decoder *d, const struct bf_node *node, const char *name,
			const char *where, struct bf_slice *ret_text)
{
	const char *path = name;
	int r = -ENOENT;

	if (name[0] != '/' && d->folder.len)
		path = bf_arena_printf(d->arena, "%.*s/%s", BF_SLICE_FMT(d->folder), name);
	if (!path)
		r = -ENOMEM;
	else if (name[0])
		r = d->env->read_file(d->env->ctx, path, d->arena, ret_text);
	if (r == 0)
		return 0;
	bf_diag(d->diags, BF_DIAG_ERROR, node->pos,
		"%s: cannot read the file \"%.200s\": %s: mend path or rights, or write the value",
		where, path ? path : name, r == -EFBIG ? "larger than 1 MiB" : bf_err_text(r));
	return r;
}

int bf_resolve(struct bf_decoder *d, const struct bf_field *f, const struct bf_node *node,
	       const struct bf_path *path, struct bf_slice *ret_text, enum bf_text_style *ret_style)
{
	char where[BF_PATH_TEXT_MAX];
	const char *file = NULL;
	int r;

	*ret_text = node->text;
	*ret_style = (enum bf_text_style)node->style;
	bool is_env = bf_slice_starts(node->text, BF_SLICE_LIT("env."));
	if (bf_slice_starts(node->text, BF_SLICE_LIT("file.")))
		file = node->text.ptr + strlen("file.");
	else if ((f->flags & BF_FILE_TEXT) && bf_slice_starts(node->text, BF_SLICE_LIT("/")))
		file = node->text.ptr;
	if (!is_env && !file)
		return 0;
	if (!d->env) {
		bf_diag(d->diags, BF_DIAG_ERROR, node->pos,
			"%s: env.NAME and file.PATH are for the configuration file: write the "
			"value itself",
			bf_path_text(path, where));
		return BF_E_DENIED;
	}
	if (memchr(node->text.ptr, '\0', node->text.len)) {
		bf_diag(d->diags, BF_DIAG_ERROR, node->pos,
			"%s: a reference must not contain a zero byte", bf_path_text(path, where));
		return BF_E_SYNTAX;
	}
	*ret_style = BF_TEXT_RESOLVED;
	(void)bf_path_text(path, where);
	r = is_env ? resolve_env(d, node, where, ret_text)
		   : resolve_file(d, node, file, where, ret_text);
	if (r < 0 || ret_text->len == 0 || bf_utf8_valid(ret_text->ptr, ret_text->len))
		return r;
	bf_diag(d->diags, BF_DIAG_ERROR, node->pos,
		"%s: what \"%.80s\" refers to is not UTF-8 text", where, node->text.ptr);
	return BF_E_SYNTAX;
}

static const char *system_get_env(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

/* Reads until end of file, so that files without a size (/dev/fd, credentials on ramfs) work too.
 */
static ssize_t read_all(int fd, char *out, size_t room)
{
	size_t used = 0;

	while (used < room) {
		ssize_t n = read(fd, out + used, room - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

static int read_text(int fd, struct bf_arena *arena, struct bf_slice *ret_text)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	/* A pipe could keep the helper, and with it the start, waiting for ever. */
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > (off_t)REFERENCED_FILE_MAX_BYTES)
		return -EFBIG;
	char *text = malloc(REFERENCED_FILE_MAX_BYTES + 1);
	if (!text)
		return -ENOMEM;
	ssize_t n = read_all(fd, text, REFERENCED_FILE_MAX_BYTES + 1);
	int r = n < 0 ? (int)n : 0;
	if (r == 0 && (size_t)n > REFERENCED_FILE_MAX_BYTES)
		r = -EFBIG;
	if (r == 0) {
		size_t len = (size_t)n;

		if (len > 0 && text[len - 1] == '\n')
			len--;
		*ret_text = bf_arena_dup(arena, (struct bf_slice){text, len});
		r = ret_text->ptr ? 0 : -ENOMEM;
	}
	explicit_bzero(text, REFERENCED_FILE_MAX_BYTES + 1);
	free(text);
	return r;
}

static int system_read_file(void *ctx, const char *path, struct bf_arena *arena,
			    struct bf_slice *ret_text)
{
	(void)ctx;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	int r = read_text(fd, arena, ret_text);
	(void)close(fd);
	return r;
}

const struct bf_config_env bf_config_env_system = {system_get_env, system_read_file, NULL};
