/*
 * Opening the segment. Called once at start, by main.c. Must never delete a file that may hold rows
 * nobody has written yet: what cannot be used is renamed, or the start is refused.
 */
#include "supervisor/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/rand.h"

static const char file_name[] = "segment";
static const char new_name[] = "segment.new";

enum segment_decision segment_decide(int attach_code)
{
	switch (attach_code) {
	case 0:
		return SEGMENT_TAKE_OVER;
	case BF_E_STATE: /* another boot: its processes died with the machine */
	case BF_E_CORRUPT:
		return SEGMENT_SET_ASIDE;
	default: /* another layout, or the system failed us */
		return SEGMENT_REFUSE;
	}
}

int segment_boot_id(uint8_t ret_id[16], struct bf_err *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	struct bf_uuid id;
	char text[BF_UUID_TEXT_LEN];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return bf_err_sys(err, -errno, "%s: cannot be opened: mount /proc", path);
	n = read(fd, text, sizeof(text));
	(void)close(fd);
	if (n != (ssize_t)sizeof(text) || bf_uuid_parse(text, sizeof(text), &id) != 0)
		return bf_err_set(err, BF_E_SYNTAX, "%s: no id in it", path);
	memcpy(ret_id, id.bytes, sizeof(id.bytes));
	return 0;
}

/* A file without a name where the file system can, else one with a passing name. */
static int open_unnamed(int dir, bool *ret_named)
{
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	*ret_named = false;
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd < 0 ? -errno : fd;
	(void)unlinkat(dir, new_name, 0);
	fd = openat(dir, new_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	*ret_named = true;
	return fd < 0 ? -errno : fd;
}

static int give_name(int dir, int fd, bool named)
{
	char path[64];

	if (named)
		return renameat(dir, new_name, dir, file_name) < 0 ? -errno : 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir, file_name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int create(const struct folders *f, const struct owner *owner, const uint8_t boot_id[16],
		  struct bf_err *err)
{
	bool named;
	int r, fd = open_unnamed(f->runtime_fd, &named);

	if (fd < 0)
		return bf_err_sys(err, fd, "%s/%s: cannot be created", f->runtime, file_name);
	r = shm_segment_create(fd, boot_id, err);
	if (r < 0)
		goto fail;
	if (geteuid() == 0 && *owner->name && fchown(fd, owner->uid, owner->gid) < 0) {
		r = bf_err_sys(err, -errno, "%s/%s: cannot be given to %s", f->runtime, file_name,
			       owner->name);
		goto fail;
	}
	r = give_name(f->runtime_fd, fd, named);
	if (r < 0)
		r = bf_err_sys(err, r, "%s/%s: cannot be created", f->runtime, file_name);
fail:
	if (r < 0 && named)
		(void)unlinkat(f->runtime_fd, new_name, 0);
	(void)close(fd);
	return r;
}

/* What people are told about a file that was not taken over. */
static void tell(struct segment *s, const struct folders *f, const char *old,
		 const struct bf_err *why)
{
	if (why->code == BF_E_STATE)
		(void)snprintf(
		    s->note, sizeof(s->note),
		    "%s/%s was of another boot of this machine and is not used again; kept as %s "
		    "(bifrostctl dump shows it): remove it when nothing in it is missed",
		    f->runtime, file_name, old);
	else
		(void)snprintf(s->note, sizeof(s->note),
			       "%s/%s is damaged and was replaced; kept as %s: rows that waited in "
			       "it are lost unless somebody finds them there (%s)",
			       f->runtime, file_name, old, why->text);
}

static int set_aside(struct segment *s, const struct folders *f, const struct bf_err *why,
		     struct bf_err *err)
{
	char old[32];

	for (int n = 1; n <= SEGMENT_MAX_OLD; n++) {
		(void)snprintf(old, sizeof(old), "%s.old-%d", file_name, n);
		if (renameat2(f->runtime_fd, file_name, f->runtime_fd, old, RENAME_NOREPLACE) ==
		    0) {
			tell(s, f, old, why);
			return 0;
		}
		if (errno != EEXIST)
			return bf_err_sys(err, -errno, "%s/%s: cannot be set aside", f->runtime,
					  file_name);
	}
	return bf_err_set(err, BF_E_FULL,
			  "%s/%s.old-1 to -%d: so many unusable segments were set aside: look at "
			  "them with bifrostctl dump, then remove them",
			  f->runtime, file_name, SEGMENT_MAX_OLD);
}

/* A file somebody else put there could be changed under our feet. */
static int check_owner(int fd, const struct folders *f, const struct owner *owner,
		       struct bf_err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return bf_err_sys(err, -errno, "%s/%s: fstat", f->runtime, file_name);
	if (S_ISREG(st.st_mode) && (st.st_uid == owner->uid || st.st_uid == geteuid()) &&
	    (st.st_mode & 0077) == 0)
		return 0;
	return bf_err_set(
	    err, BF_E_DENIED,
	    "%s/%s: is not a private file of uid %u: find out who made it, then remove it",
	    f->runtime, file_name, (unsigned)owner->uid);
}

static int take_over(struct segment *s, const struct folders *f, const struct owner *owner,
		     const uint8_t boot_id[16], struct bf_err *err)
{
	int r, fd = openat(f->runtime_fd, file_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT ? -ENOENT
				       : bf_err_sys(err, -errno, "%s/%s: cannot be opened",
						    f->runtime, file_name);
	r = check_owner(fd, f, owner, err);
	if (r == 0) {
		r = shm_segment_attach(fd, false, boot_id, &s->shm, err);
		if (r == 0) {
			s->fd = fd;
			s->taken_over = true;
			return 0;
		}
	}
	(void)close(fd);
	return r;
}

int segment_open(struct segment *s, const struct folders *f, const struct owner *owner,
		 const uint8_t boot_id[16], struct bf_err *err)
{
	struct bf_err why = {0};
	int r;

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	r = take_over(s, f, owner, boot_id, &why);
	if (r == 0)
		return 0;
	if (r != -ENOENT) {
		/* The text says where, what, and how to mend it. */
		if (segment_decide(r) == SEGMENT_REFUSE)
			return bf_err_set(err, r, "%s", why.text);
		r = set_aside(s, f, &why, err);
		if (r < 0)
			return r;
	}
	r = create(f, owner, boot_id, err);
	/* Opened again by its name, which is what /proc then shows. */
	if (r == 0)
		r = take_over(s, f, owner, boot_id, err);
	s->taken_over = false;
	return r;
}

void segment_close(struct segment *s)
{
	shm_segment_detach(&s->shm);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}
