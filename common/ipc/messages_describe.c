/*
 * The message table as a document. Called by `bifrostctl describe-protocol`, from which
 * docs/control-protocol.md is made. Must never say anything that is not read from the table or from
 * frame.h.
 */
#include <inttypes.h>

#include "common/base/buf.h"
#include "common/base/macros.h"
#include "common/ipc/messages.h"

static const char intro[] =
    "# Control protocol\n\n"
    "Generated from `common/ipc/messages_table.c` by `bifrostctl describe-protocol`. Do not "
    "edit.\n\n"
    "One datagram on a Unix `SOCK_SEQPACKET` socket is one frame: a header of %d bytes, "
    "little-endian, and a\n"
    "MessagePack map of at most %u bytes. At most one file descriptor comes with it.\n\n"
    "| byte | field | type | meaning |\n"
    "|---|---|---|---|\n"
    "| 0 | version | u8 | %d |\n"
    "| 1 | flags | u8 | see below |\n"
    "| 2 | type | u16 | number of the message |\n"
    "| 4 | source | u16 | endpoint: role << 10, index |\n"
    "| 6 | target | u16 | endpoint |\n"
    "| 8 | request | u32 | chosen by the asker, repeated by replies; 0: no reply is wanted |\n"
    "| 12 | length | u32 | bytes of the body |\n\n"
    "Flags: REPLY %d, MORE %d (further parts of this reply follow), ERROR %d, CANCEL %d (no more "
    "parts of this\n"
    "request are wanted), FD %d (exactly one descriptor comes along).\n\n"
    "A frame that is malformed closes the channel it came from. A frame whose sender may not send "
    "it to its\n"
    "receiver is refused. Unknown fields of a body are skipped, so that releases can be mixed.\n\n";

static const char *type_text(enum bf_field_type type)
{
	static const char *const names[BF_T_COUNT] = {
	    [BF_T_BOOL] = "bool",
	    [BF_T_INT] = "int",
	    [BF_T_UINT] = "uint",
	    [BF_T_DURATION] = "ms",
	    [BF_T_SIZE] = "size",
	    [BF_T_DECIMAL] = "decimal",
	    [BF_T_TIME] = "time",
	    [BF_T_TRISTATE] = "bool",
	    [BF_T_STRING] = "string",
	    [BF_T_SECRET] = "secret",
	    [BF_T_BYTES] = "bytes",
	    [BF_T_ENUM] = "enum",
	    [BF_T_STRINGS] = "list of strings",
	    [BF_T_OBJECT] = "map",
	    [BF_T_LIST] = "list",
	    [BF_T_MAP] = "map",
	    [BF_T_PAIRS] = "map",
	};

	return (unsigned)type < BF_T_COUNT ? names[type] : "?";
}

static bool is_bounded(const struct bf_field *f)
{
	return f->type != BF_T_BOOL && f->type != BF_T_OBJECT && f->max > 0 && f->max < INT64_MAX;
}

static int describe_fields(const struct bf_table *table, const char *prefix, struct bf_buf *out)
{
	int r = 0;

	for (uint16_t i = 0; r == 0 && i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];
		r = bf_buf_printf(out, "| `%s%s` | %s", prefix, f->name,
				  type_text((enum bf_field_type)f->type));
		if (r == 0 && is_bounded(f))
			r = bf_buf_printf(out, ", at most %" PRId64, f->max);
		if (r == 0)
			r = bf_buf_printf(out, " | %s |\n", f->doc ? f->doc : "");
		/* Messages nest once: no recursion. */
		for (uint16_t j = 0; r == 0 && f->sub && j < f->sub->field_count; j++) {
			const struct bf_field *inner = &f->sub->fields[j];
			r = bf_buf_printf(out, "| `%s%s.%s` | %s, at most %" PRId64 " | %s |\n",
					  prefix, f->name, inner->name,
					  type_text((enum bf_field_type)inner->type), inner->max,
					  inner->doc ? inner->doc : "");
		}
	}
	return r;
}

static int describe_roles(uint16_t set, struct bf_buf *out)
{
	const char *comma = "";
	int r = 0;

	for (unsigned role = 0; r == 0 && role < BF_ROLE_COUNT; role++) {
		if (!(set & (1u << role)))
			continue;
		r = bf_buf_printf(out, "%s%s", comma, bf_role_name((enum bf_role)role));
		comma = ", ";
	}
	return r;
}

static int describe_message(unsigned type, const struct bf_msg_def *def, struct bf_buf *out)
{
	int r = bf_buf_printf(out, "## %u `%s`\n\n", type, def->name);

	for (unsigned i = 0; r == 0 && i < BF_MSG_ROUTES && def->routes[i].senders; i++) {
		r = bf_buf_printf(out, "%s", i ? "; or " : "From ");
		if (r == 0)
			r = describe_roles(def->routes[i].senders, out);
		if (r == 0)
			r = bf_buf_printf(out, " to ");
		if (r == 0)
			r = describe_roles(def->routes[i].receivers, out);
	}
	if (r == 0)
		r = bf_buf_printf(out, ".%s%s%s\n\n", def->is_reply ? " Only as a reply." : "",
				  def->with_fd ? " With a descriptor." : "",
				  def->body ? "" : " No body.");
	if (r < 0 || !def->body)
		return r;
	r = bf_buf_printf(out, "| field | type | meaning |\n|---|---|---|\n");
	if (r == 0)
		r = describe_fields(def->body, "", out);
	return r < 0 ? r : bf_buf_printf(out, "\n");
}

int bf_msg_describe(struct bf_buf *out)
{
	int r = bf_buf_printf(out, intro, BF_FRAME_HEADER_SIZE, BF_FRAME_MAX_BODY, BF_FRAME_VERSION,
			      BF_FRAME_REPLY, BF_FRAME_MORE, BF_FRAME_ERROR, BF_FRAME_CANCEL,
			      BF_FRAME_FD);

	for (unsigned type = 0; r == 0 && type < BF_MSG_TYPE_MAX; type++) {
		const struct bf_msg_def *def = bf_msg_def((uint16_t)type);
		if (def)
			r = describe_message(type, def, out);
	}
	return r;
}
