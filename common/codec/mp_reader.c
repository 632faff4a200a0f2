/*
 * MessagePack reader. Called on every byte string that another process or peer wrote. Never
 * allocates, never recurses, never reads past the end, and after the first failure reads nothing
 * more.
 */
#include "common/base/err.h"
#include "common/base/macros.h"
#include "common/codec/mp.h"

#define SKIP_DEPTH 64

/* One value's head: what it is, and its number, length or count. */
struct head {
	enum bf_mp_type type;
	uint64_t value; /* the number, or bytes of payload, or elements */
	size_t size;    /* bytes of the head itself */
};

/* Bytes 0xc0..0xdf: what they are, the big-endian bytes that follow, and a fixed value. */
static const struct tag {
	uint8_t type;
	uint8_t width;
	uint8_t extra; /* more head bytes after those (the type of an ext) */
	uint8_t fixed;
} tags[32] = {
    [0x00] = {BF_MP_NIL, 0, 0, 0},   [0x01] = {BF_MP_ERROR, 0, 0, 0},
    [0x02] = {BF_MP_BOOL, 0, 0, 0},  [0x03] = {BF_MP_BOOL, 0, 0, 1},
    [0x04] = {BF_MP_BIN, 1, 0, 0},   [0x05] = {BF_MP_BIN, 2, 0, 0},
    [0x06] = {BF_MP_BIN, 4, 0, 0},   [0x07] = {BF_MP_EXT, 1, 1, 0},
    [0x08] = {BF_MP_EXT, 2, 1, 0},   [0x09] = {BF_MP_EXT, 4, 1, 0},
    [0x0a] = {BF_MP_FLOAT, 4, 0, 0}, [0x0b] = {BF_MP_FLOAT, 8, 0, 0},
    [0x0c] = {BF_MP_UINT, 1, 0, 0},  [0x0d] = {BF_MP_UINT, 2, 0, 0},
    [0x0e] = {BF_MP_UINT, 4, 0, 0},  [0x0f] = {BF_MP_UINT, 8, 0, 0},
    [0x10] = {BF_MP_INT, 1, 0, 0},   [0x11] = {BF_MP_INT, 2, 0, 0},
    [0x12] = {BF_MP_INT, 4, 0, 0},   [0x13] = {BF_MP_INT, 8, 0, 0},
    [0x14] = {BF_MP_EXT, 0, 1, 1},   [0x15] = {BF_MP_EXT, 0, 1, 2},
    [0x16] = {BF_MP_EXT, 0, 1, 4},   [0x17] = {BF_MP_EXT, 0, 1, 8},
    [0x18] = {BF_MP_EXT, 0, 1, 16},  [0x19] = {BF_MP_STR, 1, 0, 0},
    [0x1a] = {BF_MP_STR, 2, 0, 0},   [0x1b] = {BF_MP_STR, 4, 0, 0},
    [0x1c] = {BF_MP_ARRAY, 2, 0, 0}, [0x1d] = {BF_MP_ARRAY, 4, 0, 0},
    [0x1e] = {BF_MP_MAP, 2, 0, 0},   [0x1f] = {BF_MP_MAP, 4, 0, 0},
};

void bf_mp_reader_init(struct bf_mp_reader *r, struct bf_slice bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.ptr;

	*r = (struct bf_mp_reader){.pos = p, .end = bytes.len ? p + bytes.len : p};
}

static size_t left(const struct bf_mp_reader *r)
{
	return (size_t)(r->end - r->pos);
}

static void fail(struct bf_mp_reader *r, int error)
{
	if (r->error == 0)
		r->error = error;
}

static uint64_t big_endian(const uint8_t *p, size_t width)
{
	uint64_t v = 0;

	for (size_t i = 0; i < width; i++)
		v = v << 8 | p[i];
	return v;
}

/* The head of a byte outside 0xc0..0xdf: the value is in the byte itself. */
static struct head fix_head(uint8_t b)
{
	if (b < 0x80)
		return (struct head){BF_MP_INT, b, 1};
	if (b < 0x90)
		return (struct head){BF_MP_MAP, b & 0x0f, 1};
	if (b < 0xa0)
		return (struct head){BF_MP_ARRAY, b & 0x0f, 1};
	if (b < 0xc0)
		return (struct head){BF_MP_STR, b & 0x1f, 1};
	return (struct head){BF_MP_INT, (uint64_t)(int64_t)(int8_t)b, 1};
}

/* 0 or BF_E_SYNTAX. An unsigned number that fits int64_t is a BF_MP_INT; a negative one is kept as
 * two's complement. */
static int read_head(const struct bf_mp_reader *r, struct head *h)
{
	if (r->pos == r->end)
		return BF_E_SYNTAX;
	uint8_t b = *r->pos;
	if (b < 0xc0 || b >= 0xe0) {
		*h = fix_head(b);
		return 0;
	}
	const struct tag *tag = &tags[b - 0xc0];
	if (tag->type == BF_MP_ERROR || left(r) - 1 < (size_t)tag->width + tag->extra)
		return BF_E_SYNTAX;
	h->type = (enum bf_mp_type)tag->type;
	h->size = 1 + (size_t)tag->width + tag->extra;
	h->value = tag->width ? big_endian(r->pos + 1, tag->width) : tag->fixed;
	if (h->type == BF_MP_UINT && h->value <= INT64_MAX) {
		h->type = BF_MP_INT;
	} else if (h->type == BF_MP_INT) {
		uint64_t sign = UINT64_C(1) << (8 * tag->width - 1);
		h->value = (h->value ^ sign) - sign;
	} else if (h->type == BF_MP_FLOAT) {
		/* Nothing here reads floats; the payload is only skipped. */
		h->size = 1;
		h->value = tag->width;
	}
	return 0;
}

enum bf_mp_type bf_mp_peek(const struct bf_mp_reader *r)
{
	struct head h;

	if (r->error)
		return BF_MP_ERROR;
	if (r->pos == r->end)
		return BF_MP_END;
	return read_head(r, &h) < 0 ? BF_MP_ERROR : h.type;
}

/* Consumes the head of a value of one type (or of a second one); false with the error set. */
static bool take_head(struct bf_mp_reader *r, enum bf_mp_type type, enum bf_mp_type other,
		      struct head *h)
{
	if (r->error)
		return false;
	int e = read_head(r, h);
	if (e == 0 && h->type != type && h->type != other)
		e = BF_E_TYPE;
	if (e < 0) {
		fail(r, e);
		return false;
	}
	r->pos += h->size;
	return true;
}

bool bf_mp_read_bool(struct bf_mp_reader *r)
{
	struct head h;

	return take_head(r, BF_MP_BOOL, BF_MP_BOOL, &h) && h.value != 0;
}

void bf_mp_read_nil(struct bf_mp_reader *r)
{
	struct head h;

	(void)take_head(r, BF_MP_NIL, BF_MP_NIL, &h);
}

int64_t bf_mp_read_i64(struct bf_mp_reader *r)
{
	struct head h;

	if (!take_head(r, BF_MP_INT, BF_MP_UINT, &h))
		return 0;
	if (h.type == BF_MP_UINT) {
		fail(r, BF_E_RANGE);
		return 0;
	}
	return (int64_t)h.value;
}

uint64_t bf_mp_read_u64(struct bf_mp_reader *r)
{
	struct head h;

	if (!take_head(r, BF_MP_INT, BF_MP_UINT, &h))
		return 0;
	if (h.type == BF_MP_INT && h.value > INT64_MAX) {
		fail(r, BF_E_RANGE);
		return 0;
	}
	return h.value;
}

static struct bf_slice read_bytes(struct bf_mp_reader *r, enum bf_mp_type type)
{
	struct head h;

	if (!take_head(r, type, type, &h))
		return (struct bf_slice){NULL, 0};
	if (h.value > left(r)) {
		fail(r, BF_E_SYNTAX);
		return (struct bf_slice){NULL, 0};
	}
	struct bf_slice s = {(const char *)r->pos, (size_t)h.value};
	r->pos += h.value;
	return s;
}

struct bf_slice bf_mp_read_str(struct bf_mp_reader *r)
{
	return read_bytes(r, BF_MP_STR);
}

struct bf_slice bf_mp_read_bin(struct bf_mp_reader *r)
{
	return read_bytes(r, BF_MP_BIN);
}

/* Every element takes a byte at least, so a count is believed only as far as there are bytes. */
static uint32_t read_count(struct bf_mp_reader *r, enum bf_mp_type type, unsigned bytes_each)
{
	struct head h;

	if (!take_head(r, type, type, &h))
		return 0;
	if (h.value > left(r) / bytes_each) {
		fail(r, BF_E_LIMIT);
		return 0;
	}
	return (uint32_t)h.value;
}

uint32_t bf_mp_read_array(struct bf_mp_reader *r)
{
	return read_count(r, BF_MP_ARRAY, 1);
}

uint32_t bf_mp_read_map(struct bf_mp_reader *r)
{
	return read_count(r, BF_MP_MAP, 2);
}

/* Skips one value without its children; how many values those are. */
static uint64_t skip_shallow(struct bf_mp_reader *r)
{
	struct head h;

	int e = read_head(r, &h);
	if (e < 0) {
		fail(r, e);
		return 0;
	}
	if (h.type == BF_MP_ARRAY)
		return bf_mp_read_array(r);
	if (h.type == BF_MP_MAP)
		return 2 * (uint64_t)bf_mp_read_map(r);
	bool payload = h.type == BF_MP_STR || h.type == BF_MP_BIN || h.type == BF_MP_EXT ||
		       h.type == BF_MP_FLOAT;
	r->pos += h.size;
	if (!payload)
		return 0;
	if (h.value > left(r)) {
		fail(r, BF_E_SYNTAX);
		return 0;
	}
	r->pos += h.value;
	return 0;
}

void bf_mp_skip(struct bf_mp_reader *r)
{
	uint64_t todo[SKIP_DEPTH + 1] = {1}; /* values left to skip per level */
	unsigned level = 0;

	while (r->error == 0) {
		while (todo[level] == 0) {
			if (level == 0)
				return;
			level--;
		}
		todo[level]--;
		uint64_t children = skip_shallow(r);
		if (children == 0)
			continue;
		if (level == SKIP_DEPTH) {
			fail(r, BF_E_LIMIT);
			return;
		}
		todo[++level] = children;
	}
}

int bf_mp_reader_finish(struct bf_mp_reader *r)
{
	if (r->pos != r->end)
		fail(r, BF_E_SYNTAX);
	return r->error;
}
