/*
 * Creating, attaching and checking the segment file. Called by the supervisor (create, attach),
 * every child (attach) and bifrostctl (read-only). Never repairs what a living process may be
 * using, never follows a number of an unchecked file.
 *
 * Proof of creation: all zero is the initial state of every structure, so only the header is
 * written, and its magic last; a creator killed before that leaves a file which attach names as
 * unfinished.
 */
#include "shm/segment.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/base/rand.h"
#include "shm/killpoint.h"
#include "shm/layout.h"
#include "shm/parts.h"

/* What people call the file; "segment" when the kernel does not tell. */
static const char *path_of(int fd, char out[256])
{
	static const char prefix[] = "/proc/self/fd/";
	char link[sizeof(prefix) + 10];
	char digits[20], *end = digits + sizeof(digits);
	char *from = bf_format_u64_before(end, fd < 0 ? 0 : (unsigned)fd);
	size_t len = sizeof(prefix) - 1;
	ssize_t got;

	memcpy(link, prefix, len);
	memcpy(link + len, from, (size_t)(end - from));
	link[len + (size_t)(end - from)] = '\0';
	got = readlink(link, out, 255);
	if (got <= 0)
		return "segment";
	out[got] = '\0';
	return out;
}

size_t shm_segment_size(void)
{
	return sizeof(struct shm_layout);
}

size_t shm_segment_worst_case(uint32_t workers)
{
	return offsetof(struct shm_layout, stores) + (size_t)workers * sizeof(struct shm_store) +
	       sizeof(struct shm_layout) - offsetof(struct shm_layout, series_places);
}

int shm_segment_check_room(int fd, uint32_t workers, struct bf_err *err)
{
	size_t need = shm_segment_worst_case(workers);
	struct statvfs fs;
	char path[256];
	unsigned long long have;

	if (fstatvfs(fd, &fs) < 0)
		return bf_err_sys(err, -errno, "%s: cannot see how much room its folder has",
				  path_of(fd, path));
	have = (unsigned long long)fs.f_bavail * fs.f_frsize;
	if (fs.f_blocks == 0 || have >= need) /* no blocks: a tmpfs without a limit */
		return 0;
	return bf_err_set(
	    err, -ENOSPC,
	    "%s: %u workers may need %zu MiB at worst and the folder has %llu MiB free: give the "
	    "file system more room or set supervisor.runtime_dir",
	    path_of(fd, path), workers, (need >> 20) + 1, have >> 20);
}

static void fill_header(struct shm_header *h, const uint8_t boot_id[16])
{
	h->layout_version = SHM_LAYOUT_VERSION;
	h->byte_order = SHM_BYTE_ORDER;
	h->size_bytes = sizeof(struct shm_layout);
	h->created_wall_ns = bf_wall_ns();
	memcpy(h->boot_id, boot_id, sizeof(h->boot_id));
	bf_rand_bytes(h->secret, sizeof(h->secret));
	h->proc_slots = SHM_PROC_SLOTS;
	h->usage_record_bytes = SHM_USAGE_RECORD_BYTES;
	h->inflight_entries = SHM_INFLIGHT_ENTRIES;
	h->content_ring_bytes = SHM_CONTENT_RING_BYTES;
}

int shm_segment_create(int fd, const uint8_t boot_id[16], struct bf_err *err)
{
	struct shm_header *h;
	struct stat st;
	char path[256];
	int r;

	if (fstat(fd, &st) < 0)
		return bf_err_sys(err, -errno, "%s: fstat", path_of(fd, path));
	if (!S_ISREG(st.st_mode) || st.st_size != 0)
		return bf_err_set(err, BF_E_STATE,
				  "%s: a new segment needs an empty regular file: remove this one",
				  path_of(fd, path));
	r = shm_segment_check_room(fd, 1, err);
	if (r < 0)
		return r;
	if (ftruncate(fd, (off_t)sizeof(struct shm_layout)) < 0)
		return bf_err_sys(err, -errno, "%s: cannot make a sparse file of %zu bytes",
				  path_of(fd, path), sizeof(struct shm_layout));
	SHM_KILLPOINT("segment_create_sized");
	h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		return bf_err_sys(err, -errno, "%s: mmap", path_of(fd, path));
	fill_header(h, boot_id);
	SHM_KILLPOINT("segment_create_filled");
	/* mo: release, pairs with check_header(): the header is whole */
	atomic_store_explicit(&h->magic, SHM_MAGIC, memory_order_release);
	(void)munmap(h, sizeof(*h));
	return 0;
}

/* Judges the first page, mapped. */
static int check_header(const struct shm_header *h, const uint8_t *boot_id, const char *path,
			struct bf_err *err)
{
	/* mo: acquire, pairs with shm_segment_create() */
	uint64_t magic = atomic_load_explicit(&h->magic, memory_order_acquire);

	if (magic == 0)
		return bf_err_set(
		    err, BF_E_CORRUPT,
		    "%s: this segment was never finished (killed while creating it): remove the "
		    "file and start again",
		    path);
	if (magic != SHM_MAGIC || h->byte_order != SHM_BYTE_ORDER)
		return bf_err_set(err, BF_E_VERSION,
				  "%s: this file is not a bifrost segment: move it away or set "
				  "supervisor.runtime_dir to another folder",
				  path);
	if (h->layout_version != SHM_LAYOUT_VERSION)
		return bf_err_set(
		    err, BF_E_VERSION,
		    "%s: segment layout %u, this build needs %u: stop bifrost with the build that "
		    "made it, so that waiting rows are written, then remove the file",
		    path, h->layout_version, SHM_LAYOUT_VERSION);
	if (h->size_bytes != sizeof(struct shm_layout) || h->proc_slots != SHM_PROC_SLOTS ||
	    h->usage_record_bytes != SHM_USAGE_RECORD_BYTES ||
	    h->inflight_entries != SHM_INFLIGHT_ENTRIES ||
	    h->content_ring_bytes != SHM_CONTENT_RING_BYTES)
		return bf_err_set(
		    err, BF_E_VERSION,
		    "%s: segment with tables of other sizes than this build's: stop bifrost with "
		    "the build that made it, then remove the file",
		    path);
	if (boot_id && memcmp(h->boot_id, boot_id, sizeof(h->boot_id)) != 0)
		return bf_err_set(
		    err, BF_E_STATE,
		    "%s: this segment is of another boot of the machine: its processes are gone, "
		    "remove the file",
		    path);
	return 0;
}

static int check_file(int fd, const uint8_t *boot_id, const char *path, struct bf_err *err)
{
	struct shm_header *h;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return bf_err_sys(err, -errno, "%s: fstat", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < sizeof(*h))
		return bf_err_set(
		    err, BF_E_CORRUPT,
		    "%s: too short for a segment (%lld bytes): remove the file and start again",
		    path, (long long)st.st_size);
	h = mmap(NULL, sizeof(*h), PROT_READ, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		return bf_err_sys(err, -errno, "%s: mmap", path);
	r = check_header(h, boot_id, path, err);
	(void)munmap(h, sizeof(*h));
	if (r == 0 && (uint64_t)st.st_size != sizeof(struct shm_layout))
		return bf_err_set(
		    err, BF_E_CORRUPT,
		    "%s: %lld bytes long instead of %zu: the file was cut; remove it and start "
		    "again",
		    path, (long long)st.st_size, sizeof(struct shm_layout));
	return r;
}

int shm_segment_attach(int fd, bool read_only, const uint8_t *boot_id, struct shm_segment *ret_seg,
		       struct bf_err *err)
{
	struct shm_segment seg = {.size_bytes = sizeof(struct shm_layout), .read_only = read_only};
	char path[256];
	int r = check_file(fd, boot_id, path_of(fd, path), err);

	if (r < 0)
		return r;
	seg.map = mmap(NULL, seg.size_bytes, read_only ? PROT_READ : PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (seg.map == MAP_FAILED)
		return bf_err_sys(err, -errno, "%s: mmap of %zu bytes", path_of(fd, path),
				  seg.size_bytes);
	/* Prompts and answers do not belong into core files. */
	(void)madvise(seg.map, seg.size_bytes, MADV_DONTDUMP);
	r = shm_segment_valid(&seg, err);
	if (r < 0) {
		shm_segment_detach(&seg);
		return r;
	}
	*ret_seg = seg;
	return 0;
}

void shm_segment_detach(struct shm_segment *seg)
{
	if (seg->map)
		(void)munmap(seg->map, seg->size_bytes);
	*seg = (struct shm_segment){.map = NULL};
}

const uint8_t *shm_segment_secret(const struct shm_segment *seg)
{
	return seg->map->header.secret;
}

void shm_set_generation(struct shm_segment *seg, uint64_t generation)
{
	/* mo: release, pairs with shm_generation(): the snapshot was made before it is named */
	atomic_store_explicit(&seg->map->header.generation, generation, memory_order_release);
}

uint64_t shm_generation(const struct shm_segment *seg)
{
	/* mo: acquire, pairs with shm_set_generation() */
	return atomic_load_explicit(&seg->map->header.generation, memory_order_acquire);
}

void shm_set_draining(struct shm_segment *seg, bool on)
{
	/* mo: relaxed, a switch that publishes nothing but itself */
	atomic_store_explicit(&seg->map->header.draining, on, memory_order_relaxed);
}

bool shm_draining(const struct shm_segment *seg)
{
	/* mo: relaxed, as above */
	return atomic_load_explicit(&seg->map->header.draining, memory_order_relaxed) != 0;
}

int shm_segment_valid(const struct shm_segment *seg, struct bf_err *err)
{
	int r = 0;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS && r == 0; p++) {
		r = shm_slot_valid(seg, p, err);
		if (r < 0 || !shm_slot_used(seg, p))
			continue;
		r = shm_usage_valid(seg, p, err);
		if (r == 0)
			r = shm_content_valid(seg, p, err);
		if (r == 0)
			r = shm_inflight_valid(seg, p, err);
	}
	return r;
}
