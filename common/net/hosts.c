/*
 * Reads the hosts file once and answers from memory. Called by the resolver before the sandbox is
 * up. Must never fail on a strange line: it is passed over, as libc does.
 */
#include "common/net/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

static int hosts_load(int fd, struct bf_buf *text)
{
	for (;;) {
		int r = bf_buf_reserve(text, 4096);
		if (r < 0)
			return r;
		ssize_t n = read(fd, text->data + text->end, 4096);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			text->end += (size_t)n;
	}
}

int bf_hosts_read(const char *path, struct bf_hosts *ret_hosts, struct bf_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	bf_buf_init(&ret_hosts->text, BF_HOSTS_MAX_BYTES);
	if (fd < 0)
		return errno == ENOENT ? 0 : bf_err_sys(err, -errno, "%s", path);
	r = hosts_load(fd, &ret_hosts->text);
	(void)close(fd);
	if (r < 0)
		bf_hosts_free(ret_hosts);
	return r < 0 ? bf_err_sys(err, r, "%s", path) : 0;
}

/* The next word of a line; empty at its end or at a comment. */
static struct bf_slice hosts_word(struct bf_slice *line)
{
	struct bf_slice word;

	while (line->len && strchr(" \t\r", line->ptr[0]) && line->ptr[0]) {
		line->ptr++;
		line->len--;
	}
	word = (struct bf_slice){line->ptr, 0};
	while (word.len < line->len && line->ptr[word.len] &&
	       !strchr(" \t\r#", line->ptr[word.len]))
		word.len++;
	line->ptr += word.len;
	line->len -= word.len;
	return word;
}

static bool hosts_line_has(struct bf_slice line, struct bf_slice name)
{
	for (struct bf_slice word = hosts_word(&line); word.len; word = hosts_word(&line)) {
		if (word.len == name.len && strncasecmp(word.ptr, name.ptr, name.len) == 0)
			return true;
	}
	return false;
}

size_t bf_hosts_find(const struct bf_hosts *hosts, struct bf_slice name, struct bf_addr *ret_addrs,
		     size_t max)
{
	struct bf_slice left = bf_buf_slice(&hosts->text);
	size_t count = 0;

	while (left.len && count < max) {
		const char *end = memchr(left.ptr, '\n', left.len);
		size_t len = end ? (size_t)(end - left.ptr) : left.len;
		struct bf_slice line = {left.ptr, len};
		struct bf_slice ip = hosts_word(&line);
		if (ip.len && hosts_line_has(line, name) &&
		    bf_addr_from_ip(ip, 0, &ret_addrs[count]) == 0)
			count++;
		len += end ? 1 : 0;
		left = (struct bf_slice){left.ptr + len, left.len - len};
	}
	return count;
}

void bf_hosts_free(struct bf_hosts *hosts)
{
	bf_buf_done(&hosts->text);
}
