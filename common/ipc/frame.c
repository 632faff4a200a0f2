/*
 * Header of a control frame and the names of endpoints. Called by the channel, by the supervisor's
 * router and by bifrostctl. Must never trust a field before it is checked, and never touch the
 * descriptor it is given.
 */
#include "common/ipc/frame.h"

#include <stdbool.h>
#include <stdio.h>

#include "common/base/macros.h"

struct role_def {
	const char *name;
	bool many; /* its index is always written */
};

static const struct role_def roles[BF_ROLE_COUNT] = {
    [BF_ROLE_NONE] = {"none", false},
    [BF_ROLE_SUPERVISOR] = {"supervisor", false},
    [BF_ROLE_PROXYD] = {"proxyd", true},
    [BF_ROLE_CLUSTERD] = {"clusterd", false},
    [BF_ROLE_DISCOVERYD] = {"discoveryd", false},
    [BF_ROLE_WRITERD] = {"writerd", false},
    [BF_ROLE_CTL] = {"ctl", true},
    [BF_ROLE_READER] = {"reader", false},
};

static bool role_is_known(unsigned role)
{
	return role > BF_ROLE_NONE && role < BF_ROLE_COUNT;
}

const char *bf_role_name(enum bf_role role)
{
	return (unsigned)role < BF_ROLE_COUNT ? roles[role].name : "unknown";
}

const char *bf_endpoint_format(uint16_t endpoint, char out[24])
{
	unsigned role = BF_ENDPOINT_ROLE(endpoint);
	unsigned index = BF_ENDPOINT_INDEX(endpoint);
	bool bare = role_is_known(role) && !roles[role].many && index == 0;

	if (bare)
		(void)snprintf(out, 24, "%s", roles[role].name);
	else
		(void)snprintf(out, 24, "%s.%u", bf_role_name((enum bf_role)role), index);
	return out;
}

/* Digits of an index without a leading zero; -1 when it is none. */
static int parse_index(struct bf_slice digits)
{
	int value = 0;

	if (digits.len == 0 || digits.len > 4 || (digits.len > 1 && digits.ptr[0] == '0'))
		return -1;
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
			return -1;
		value = value * 10 + (digits.ptr[i] - '0');
	}
	return value <= 1023 ? value : -1;
}

static int role_by_name(struct bf_slice name)
{
	for (int r = BF_ROLE_SUPERVISOR; r < BF_ROLE_COUNT; r++) {
		if (bf_slice_is(name, roles[r].name))
			return r;
	}
	return -1;
}

int bf_endpoint_parse(struct bf_slice text, uint16_t *ret_endpoint)
{
	const char *dot = text.len ? memchr(text.ptr, '.', text.len) : NULL;
	struct bf_slice name = {text.ptr, dot ? (size_t)(dot - text.ptr) : text.len};
	int role = role_by_name(name);
	int index = 0;

	if (role < 0)
		return BF_E_UNKNOWN;
	if (dot) {
		index = parse_index((struct bf_slice){dot + 1, text.len - name.len - 1});
		/* One name per endpoint: "writerd.0" would be a second one. */
		if (index < 0 || (index == 0 && !roles[role].many))
			return BF_E_UNKNOWN;
	} else if (roles[role].many) {
		return BF_E_UNKNOWN;
	}
	*ret_endpoint = BF_ENDPOINT(role, index);
	return 0;
}

static void put_u16(uint8_t *out, uint16_t v)
{
	out[0] = (uint8_t)(v & 0xff);
	out[1] = (uint8_t)(v >> 8);
}

static void put_u32(uint8_t *out, uint32_t v)
{
	put_u16(out, (uint16_t)(v & 0xffff));
	put_u16(out + 2, (uint16_t)(v >> 16));
}

static uint16_t get_u16(const uint8_t *in)
{
	return (uint16_t)(in[0] | (unsigned)in[1] << 8);
}

static uint32_t get_u32(const uint8_t *in)
{
	return get_u16(in) | (uint32_t)get_u16(in + 2) << 16;
}

void bf_frame_encode_header(const struct bf_frame *f, uint8_t out[BF_FRAME_HEADER_SIZE])
{
	out[0] = BF_FRAME_VERSION;
	out[1] = f->flags;
	put_u16(out + 2, f->type);
	put_u16(out + 4, f->source);
	put_u16(out + 6, f->target);
	put_u32(out + 8, f->request);
	put_u32(out + 12, (uint32_t)f->body.len);
}

/* Which flags may stand together; the text says what is wrong, NULL when nothing is. */
static const char *flags_problem(uint8_t flags, uint32_t request)
{
	bool reply = flags & BF_FRAME_REPLY;

	if (flags & (uint8_t)~BF_FRAME_FLAGS)
		return "undefined flags";
	if (!reply && (flags & (BF_FRAME_MORE | BF_FRAME_ERROR)))
		return "MORE or ERROR without REPLY";
	if (reply && (flags & BF_FRAME_CANCEL))
		return "REPLY and CANCEL";
	if ((flags & BF_FRAME_ERROR) && (flags & BF_FRAME_MORE))
		return "MORE after ERROR";
	if ((flags & (BF_FRAME_REPLY | BF_FRAME_CANCEL)) && request == 0)
		return "REPLY or CANCEL of request 0";
	return NULL;
}

static int check_form(const struct bf_frame *f, int fd, struct bf_err *err)
{
	const char *flaw = flags_problem(f->flags, f->request);

	if (flaw)
		return bf_err_set(err, BF_E_SYNTAX, "control frame: %s (flags 0x%02x)", flaw,
				  f->flags);
	if (!role_is_known(BF_ENDPOINT_ROLE(f->source)) ||
	    !role_is_known(BF_ENDPOINT_ROLE(f->target)))
		return bf_err_set(err, BF_E_SYNTAX,
				  "control frame: unknown role in 0x%04x > 0x%04x", f->source,
				  f->target);
	if ((f->flags & BF_FRAME_FD) && fd < 0)
		return bf_err_set(err, BF_E_SYNTAX,
				  "control frame: a descriptor is announced and missing");
	if (!(f->flags & BF_FRAME_FD) && fd >= 0)
		return bf_err_set(err, BF_E_SYNTAX, "control frame: a descriptor came unannounced");
	return 0;
}

int bf_frame_decode(struct bf_slice bytes, int fd, struct bf_frame *ret_frame, struct bf_err *err)
{
	const uint8_t *h = (const uint8_t *)bytes.ptr;

	if (bytes.len < BF_FRAME_HEADER_SIZE)
		return bf_err_set(err, BF_E_SYNTAX, "control frame: %zu bytes are no header",
				  bytes.len);
	if (h[0] != BF_FRAME_VERSION)
		return bf_err_set(
		    err, BF_E_VERSION,
		    "control frame: version %u, this build speaks %d: the two programs are of "
		    "different releases",
		    h[0], BF_FRAME_VERSION);

	uint32_t length = get_u32(h + 12);
	if (length > BF_FRAME_MAX_BODY)
		return bf_err_set(err, BF_E_LIMIT,
				  "control frame: body of %u bytes, the limit is %u", length,
				  BF_FRAME_MAX_BODY);
	if (length != bytes.len - BF_FRAME_HEADER_SIZE)
		return bf_err_set(err, BF_E_SYNTAX, "control frame: %u bytes announced, %zu came",
				  length, bytes.len - BF_FRAME_HEADER_SIZE);

	struct bf_frame f = {
	    .flags = h[1],
	    .type = get_u16(h + 2),
	    .source = get_u16(h + 4),
	    .target = get_u16(h + 6),
	    .request = get_u32(h + 8),
	    .body = {bytes.ptr + BF_FRAME_HEADER_SIZE, length},
	    .fd = fd,
	};
	int r = check_form(&f, fd, err);
	if (r < 0)
		return r;
	*ret_frame = f;
	return 0;
}
