/*
 * Prices come with the configuration: read here, so that no other process parses a sheet. Called by
 * config_helper.c once a file has no other error. Must never start a gateway with half of a sheet.
 */
#include "supervisor/config_sheet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "common/codec/utf8.h"
#include "common/schema/price_sheet.h"

#define SHEET_NAME "prices.json"

static bool is_there(const char *path)
{
	return access(path, R_OK) == 0;
}

const char *config_sheet_find(void)
{
	static char path[4096];
	const size_t room = sizeof(path) - sizeof("/" SHEET_NAME);
	ssize_t n = readlink("/proc/self/exe", path, room);
	char *slash = n > 0 && (size_t)n < room ? memrchr(path, '/', (size_t)n) : NULL;

	if (slash) {
		memcpy(slash, "/" SHEET_NAME, sizeof("/" SHEET_NAME));
		if (is_there(path))
			return path;
	}
	return is_there(BF_DATA_DIR "/" SHEET_NAME) ? BF_DATA_DIR "/" SHEET_NAME : "";
}

static int read_open(int fd, struct bf_buf *file)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* A pipe could keep the helper waiting for ever. */
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > (off_t)BF_SHEET_MAX_BYTES)
		return -EFBIG;
	for (;;) {
		int r = bf_buf_reserve(file, 65536);
		ssize_t n = r < 0 ? 0 : read(fd, file->data + file->end, 65536);

		if (r < 0)
			return -EFBIG;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		file->end += (size_t)n;
	}
}

static int read_sheet(const char *path, struct bf_buf *file)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	int r = read_open(fd, file);
	(void)close(fd);
	return r;
}

/* The path of the file that is asked for; NULL: no memory. */
static const char *path_of(const struct bf_config *config, const char *name, struct bf_arena *arena)
{
	struct bf_slice file = config->pricing.pricing_file;
	const char *slash = strrchr(name, '/');

	if (file.ptr[0] == '/' || !slash)
		return file.ptr;
	return bf_arena_printf(arena, "%.*s/%s", (int)(slash - name), name, file.ptr);
}

static int load_bytes(struct bf_config *config, const char *path, struct bf_slice bytes,
		      struct bf_arena *arena, struct bf_buf *out)
{
	struct bf_conf_sheet *sheet = &config->pricing.sheet;
	struct bf_err err = {.code = 0};

	if (bytes.len && !bf_utf8_valid(bytes.ptr, bytes.len)) {
		int r = bf_buf_printf(out, "%s: error: is not UTF-8 text\n", path);
		return r < 0 ? r : 1;
	}
	if (bf_price_sheet_read(bytes, arena, sheet, &err) < 0) {
		int r = bf_buf_printf(out, "%s:%s\n", path, err.text);
		return r < 0 ? r : 1;
	}
	sheet->file = bf_arena_dup(arena, bf_slice_from(path));
	return sheet->file.ptr ? 0 : -ENOMEM;
}

static int load_file(struct bf_config *config, const char *path, struct bf_arena *arena,
		     struct bf_buf *out)
{
	struct bf_buf file;
	int r;

	bf_buf_init(&file, BF_SHEET_MAX_BYTES + 65536);
	r = read_sheet(path, &file);
	if (r < 0) {
		r = bf_buf_printf(out,
				  "%s: error: the price sheet cannot be read: %s: mend path or "
				  "rights (framework.pricing.pricing_file)\n",
				  path, r == -EFBIG ? "larger than 16 MiB" : bf_err_text(r));
		r = r < 0 ? r : 1;
	} else {
		r = load_bytes(config, path, bf_buf_slice(&file), arena, out);
	}
	bf_buf_done(&file);
	return r;
}

int config_sheet_load(struct bf_config *config, const char *name, const char *installed,
		      struct bf_arena *arena, struct bf_buf *out)
{
	const char *path = installed;

	if (config->pricing.pricing_file.len)
		path = path_of(config, name, arena);
	if (!path)
		return -ENOMEM;
	if (path[0])
		return load_file(config, path, arena, out);
	int r = bf_buf_printf(out,
			      "%s: warning: no price sheet is installed: only models of "
			      "governance.pricing_overrides have prices\n",
			      name);
	return r < 0 ? r : 0;
}
