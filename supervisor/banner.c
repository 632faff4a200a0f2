/*
 * The block at start, for people. Called once, by start.c. Must never hold anything secret: it goes
 * into the journal.
 */
#include "supervisor/banner.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/proc/child.h"
#include "shm/segment.h"

int banner_landlock_abi(void)
{
	/* landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) */
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);

	return abi > 0 ? (int)abi : 0;
}

static int listeners(const struct banner *b, struct bf_buf *out)
{
	const struct bf_slice *listen = b->config->server.listen.items;
	const char *scheme = b->config->server.tls.cert.len ? "https" : "http";
	int r = bf_buf_printf(out, "  listen     ");

	for (uint32_t i = 0; r == 0 && i < b->config->server.listen.count; i++)
		r = bf_buf_printf(out, "%s%s://%.*s", i ? ", " : "", scheme,
				  BF_SLICE_FMT(listen[i]));
	return r == 0 ? bf_buf_printf(out, "\n") : r;
}

static int memory(const struct banner *b, struct bf_buf *out)
{
	uint64_t segment = shm_segment_worst_case(b->workers);
	uint64_t worker = bf_config_worker_worst_bytes(b->config, b->workers);
	char total[32], part[32], other[32];

	return bf_buf_printf(
	    out,
	    "  memory     at worst %s: segment %s, each of %u workers %s "
	    "(server.max_connections, server.read_buffer_size, server.body_memory, "
	    "providers.*.concurrency_and_buffer_size)\n",
	    bf_format_size((segment + worker * b->workers + (1u << 20)) >> 20 << 20, total),
	    bf_format_size((segment + (1u << 20)) >> 20 << 20, part), b->workers,
	    bf_format_size((worker + (1u << 20)) >> 20 << 20, other));
}

static int sandbox(const struct banner *b, struct bf_buf *out)
{
	if (b->landlock_abi == 0)
		return bf_buf_printf(out, "  sandbox    seccomp in every child; this kernel has no "
					  "Landlock: files are not fenced\n");
	return bf_buf_printf(out, "  sandbox    seccomp and Landlock (version %d) in every child\n",
			     b->landlock_abi);
}

static int segment(const struct banner *b, struct bf_buf *out)
{
	if (!b->taken_over)
		return bf_buf_printf(out, "  segment    %s/segment, new\n", b->runtime_dir);
	return bf_buf_printf(out, "  segment    %s/segment, taken over; slots to sweep: %u\n",
			     b->runtime_dir, b->unswept);
}

static int warn(struct bf_buf *out, bool when, const char *text)
{
	return when ? bf_buf_printf(out, "  WARNING    %s\n", text) : 0;
}

static int unbuilt(const struct banner *b, struct bf_buf *out)
{
	const struct bf_slice *names = b->config->unbuilt.items;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < b->config->unbuilt.count; i++)
		r = bf_buf_printf(out, "  WARNING    %s: %.*s has no effect in this build\n",
				  b->file, BF_SLICE_FMT(names[i]));
	return r;
}

static int warnings(const struct banner *b, struct bf_buf *out)
{
	int r = warn(out, b->keeps_root,
		     "started as root without --user: the children keep root. Give them a user: "
		     "--user NAME");

	if (r == 0)
		r = warn(out, !b->runtime_is_tmpfs,
			 "the runtime folder is not on a tmpfs: the segment costs disk writes. "
			 "Choose one that is (BIFROST_RUNTIME_DIR)");
	if (r == 0)
		r = warn(out, b->note[0], b->note);
	if (r == 0)
		r = warn(out, b->room[0], b->room);
	return r == 0 ? unbuilt(b, out) : r;
}

int banner_write(const struct banner *b, struct bf_buf *out)
{
	int r = bf_buf_printf(out, "bifrost %s (build %s)\n", bf_version(), bf_build_id());

	if (r == 0)
		r = listeners(b, out);
	if (r == 0)
		r = bf_buf_printf(out,
				  "  config     %s\n  state      %s\n  runtime    %s\n  programs   "
				  "%s\n  workers    %u\n",
				  b->file, b->state_dir, b->runtime_dir, b->programs, b->workers);
	if (r == 0)
		r = segment(b, out);
	if (r == 0)
		r = memory(b, out);
	if (r == 0)
		r = sandbox(b, out);
	return r == 0 ? warnings(b, out) : r;
}
