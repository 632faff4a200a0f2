/*
 * snapshot.last in the state folder. Called by registry.c. Must never replace a whole copy by a
 * half one, nor write anything of it in clear.
 */
#include "writerd/change/last_good.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/rand.h"
#include "common/log/log.h"
#include "writerd/change/last_good_priv.h"

#define PAUSE_S 0.002

void last_good_init(struct last_good *g, struct ev_loop *loop, const char *state_dir,
		    struct bf_slice encryption_key)
{
	*g = (struct last_good){.fd = -1, .sources = {-1, -1}};
	if (encryption_key.len == 0)
		return;
	g->loop = loop;
	bf_seal_key(encryption_key, "bifrost last snapshot", g->key);
	(void)snprintf(g->path, sizeof(g->path), "%s/snapshot.last", state_dir);
	(void)snprintf(g->path_new, sizeof(g->path_new), "%s.new", g->path);
	bf_buf_init_nodump(&g->plain, LAST_GOOD_PIECE);
	bf_buf_init(&g->sealed, LAST_GOOD_PIECE + BF_SEAL_OVERHEAD + sizeof(uint32_t));
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void stop(struct last_good *g)
{
	if (g->loop)
		ev_timer_stop(g->loop, &g->slice);
	close_fd(&g->fd);
	close_fd(&g->sources[0]);
	close_fd(&g->sources[1]);
	bf_buf_clear(&g->plain);
}

void last_good_done(struct last_good *g)
{
	if (!g->loop)
		return;
	if (g->fd >= 0)
		(void)unlink(g->path_new);
	stop(g);
	bf_buf_done(&g->plain);
	bf_buf_done(&g->sealed);
	bf_wipe(g->key, sizeof(g->key));
	g->loop = NULL;
}

/* ---- pieces */

struct bf_slice last_good_place(const char *id, uint32_t piece, char out[LAST_GOOD_PLACE])
{
	int n = snprintf(out, LAST_GOOD_PLACE, "snapshot.last/%s/%u", id, piece);

	return (struct bf_slice){out, (size_t)n};
}

static int write_all(int fd, struct bf_slice bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes = (struct bf_slice){bytes.ptr + n, bytes.len - (size_t)n};
	}
	return 0;
}

static int write_piece(struct last_good *g)
{
	char place[LAST_GOOD_PLACE];
	uint32_t len = (uint32_t)(bf_buf_len(&g->plain) + BF_SEAL_OVERHEAD);
	int r;

	bf_buf_clear(&g->sealed);
	r = bf_buf_append(&g->sealed, &len, sizeof(len));
	if (r == 0)
		r = bf_seal(g->key, last_good_place(g->id, g->piece++, place),
			    bf_buf_slice(&g->plain), &g->sealed);
	bf_buf_clear(&g->plain);
	return r ? r : write_all(g->fd, bf_buf_slice(&g->sealed));
}

/* The next bytes of the base, then of the overlay. */
static int read_source(struct last_good *g)
{
	int which = g->place >= g->sizes[0];
	uint64_t at = g->place - (which ? g->sizes[0] : 0);
	size_t want = (size_t)BF_MIN(g->sizes[which] - at, (uint64_t)LAST_GOOD_PIECE);
	ssize_t n;

	if (bf_buf_reserve(&g->plain, want) < 0)
		return -ENOMEM;
	n = pread(g->sources[which], g->plain.data + g->plain.end, want, (off_t)at);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	g->plain.end += (size_t)n;
	g->place += (uint64_t)n;
	return 0;
}

/* ---- a copy */

static void fail(struct last_good *g, int code)
{
	bf_log(BF_LOG_WARN, "last_snapshot_not_written", "path=%s reason=%s effect=%s",
	       bf_log_quote(g->path), bf_log_quote(bf_err_text(code)),
	       bf_log_quote("the one of before stays"));
	(void)unlink(g->path_new);
	stop(g);
	g->wanted = true;
}

static int finish(struct last_good *g)
{
	char folder[sizeof(g->path)];
	char *slash;
	int fd, r = fsync(g->fd) < 0 ? -errno : 0;

	if (r == 0 && rename(g->path_new, g->path) < 0)
		r = -errno;
	if (r < 0)
		return r;
	(void)snprintf(folder, sizeof(folder), "%s", g->path);
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
	g->written++;
	stop(g);
	return 0;
}

static void on_slice(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct last_good *g = w->data;
	bool over = g->place == g->sizes[0] + g->sizes[1];
	int r = over ? finish(g) : read_source(g);

	(void)revents;
	if (r == 0 && !over)
		r = write_piece(g);
	if (r < 0) {
		fail(g, r);
	} else if (!over) {
		ev_timer_set(w, PAUSE_S, 0.);
		ev_timer_start(loop, w);
	}
}

static int size_of(int fd, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static void make_id(char out[33])
{
	uint8_t bytes[16];

	bf_rand_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* Both sizes are the first piece: who cuts the file off is found out. */
static int begin(struct last_good *g, int base_fd, int overlay_fd)
{
	int r;

	g->sources[0] = fcntl(base_fd, F_DUPFD_CLOEXEC, 3);
	g->sources[1] = fcntl(overlay_fd, F_DUPFD_CLOEXEC, 3);
	g->fd = open(g->path_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (g->sources[0] < 0 || g->sources[1] < 0 || g->fd < 0)
		return -errno;
	r = size_of(base_fd, &g->sizes[0]);
	if (r == 0)
		r = size_of(overlay_fd, &g->sizes[1]);
	if (r < 0)
		return r;
	g->place = 0;
	g->piece = 0;
	make_id(g->id);
	r = write_all(g->fd, (struct bf_slice){LAST_GOOD_MAGIC, LAST_GOOD_MAGIC_LEN});
	if (r == 0)
		r = write_all(g->fd, (struct bf_slice){g->id, sizeof(g->id) - 1});
	if (r == 0)
		r = bf_buf_append(&g->plain, g->sizes, sizeof(g->sizes));
	return r ? r : write_piece(g);
}

void last_good_changed(struct last_good *g)
{
	g->wanted = true;
}

void last_good_second(struct last_good *g, int base_fd, int overlay_fd)
{
	int64_t now = bf_mono_ms();
	int r;

	if (!g->loop || !g->wanted || g->fd >= 0 || base_fd < 0 || overlay_fd < 0 ||
	    (g->begun_at_ms && now - g->begun_at_ms < LAST_GOOD_EVERY_MS))
		return;
	g->wanted = false;
	g->begun_at_ms = now;
	r = begin(g, base_fd, overlay_fd);
	if (r < 0) {
		fail(g, r);
		return;
	}
	ev_timer_init(&g->slice, on_slice, PAUSE_S, 0.);
	g->slice.data = g;
	ev_timer_start(g->loop, &g->slice);
}
