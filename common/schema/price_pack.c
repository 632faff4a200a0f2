/*
 * Pieces of a price sheet. Written by the reader and read by writerd, which checks them, and by
 * workers. Must never take a price that the tables would not: bytes are not believed.
 */
#include "common/schema/price_pack.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/base/macros.h"

#define PRICES   (sizeof(struct bf_conf_price) / sizeof(int64_t))
#define FACTS    (sizeof(struct bf_conf_model_facts) / sizeof(uint64_t))
#define VALUES   (PRICES + FACTS)
#define TEXT_MAX 256u

static const char magic[4] = {'B', 'F', 'P', '1'};

struct piece_head {
	char magic[4];
	uint32_t values; /* of an entry: another number is another build's */
	uint32_t count;
	uint32_t bytes; /* of all of it */
};

/* Behind it: the values that are given, in the order of their bits, then the texts. */
struct record {
	uint64_t given;
	uint32_t mode;
	uint16_t key, provider, base_model; /* bytes */
	uint16_t zero;
};
_Static_assert(VALUES <= 64, "a bit each");
_Static_assert(offsetof(struct bf_conf_model_facts, supports) == (FACTS - 1) * sizeof(uint64_t),
	       "it is the last one");
_Static_assert(sizeof(struct record) == 24 && sizeof(struct piece_head) == 16, "no holes");

/* Of facts, which come behind the prices, 0 is what is not given. */
static int64_t not_given(size_t value)
{
	return value < PRICES ? BF_PRICE_NOT_GIVEN : 0;
}

/* ---- writing */

static size_t record_bytes(const struct bf_conf_sheet_price *e, int64_t values[VALUES],
			   uint64_t *ret_given)
{
	size_t bytes = sizeof(struct record) + e->key.len + e->provider.len + e->base_model.len;

	memcpy(values, &e->price, sizeof(e->price));
	memcpy(values + PRICES, &e->facts, sizeof(e->facts));
	*ret_given = 0;
	for (size_t i = 0; i < VALUES; i++) {
		if (values[i] == not_given(i))
			continue;
		*ret_given |= UINT64_C(1) << i;
		bytes += sizeof(values[i]);
	}
	return bytes;
}

static int put_text(struct bf_buf *out, struct bf_slice text)
{
	return text.len ? bf_buf_append_slice(out, text) : 0;
}

static int put_record(struct bf_buf *out, const struct bf_conf_sheet_price *e,
		      const int64_t values[VALUES], uint64_t given)
{
	const struct record r = {.given = given,
				 .mode = (uint32_t)e->mode,
				 .key = (uint16_t)e->key.len,
				 .provider = (uint16_t)e->provider.len,
				 .base_model = (uint16_t)e->base_model.len};
	int code = bf_buf_append(out, &r, sizeof(r));

	for (size_t i = 0; i < VALUES && code == 0; i++)
		if (given >> i & 1)
			code = bf_buf_append(out, &values[i], sizeof(values[i]));
	if (code == 0)
		code = put_text(out, e->key);
	if (code == 0)
		code = put_text(out, e->provider);
	return code ? code : put_text(out, e->base_model);
}

int bf_price_pack(const struct bf_conf_sheet_price *items, uint32_t count, struct bf_buf *out,
		  uint32_t *ret_taken)
{
	struct piece_head head = {.values = VALUES, .bytes = sizeof(head)};
	size_t at = out->end - out->start;
	int64_t values[VALUES];
	int r;

	memcpy(head.magic, magic, sizeof(magic));
	r = bf_buf_append(out, &head, sizeof(head));
	for (; head.count < count && r == 0; head.count++) {
		uint64_t given;
		size_t bytes = record_bytes(&items[head.count], values, &given);

		if (head.bytes + bytes > BF_PRICE_PIECE_BYTES)
			break;
		r = put_record(out, &items[head.count], values, given);
		head.bytes += (uint32_t)bytes;
	}
	if (r < 0)
		return r;
	memcpy(out->data + out->start + at, &head, sizeof(head));
	*ret_taken = head.count;
	return 0;
}

/* ---- reading */

bool bf_price_piece(struct bf_slice bytes, size_t *ret_len, uint32_t *ret_count)
{
	struct piece_head head;

	if (bytes.len < sizeof(head))
		return false;
	memcpy(&head, bytes.ptr, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(magic)) != 0 || head.bytes < sizeof(head) ||
	    head.bytes > bytes.len || head.bytes > BF_PRICE_PIECE_BYTES)
		return false;
	*ret_len = head.bytes;
	*ret_count = head.count;
	return true;
}

struct bytes {
	const char *at;
	size_t left;
};

static bool take(struct bytes *b, void *out, size_t len)
{
	if (b->left < len)
		return false;
	memcpy(out, b->at, len);
	b->at += len;
	b->left -= len;
	return true;
}

static bool take_text(struct bytes *b, size_t len, struct bf_slice *ret_text)
{
	if (b->left < len || len > TEXT_MAX || (len && memchr(b->at, '\0', len)))
		return false;
	*ret_text = (struct bf_slice){b->at, len};
	b->at += len;
	b->left -= len;
	return true;
}

/* The bounds of a table's field, by the place of its value. */
static int64_t most_of(size_t value)
{
	static int64_t most[VALUES];

	if (most[0] == 0) {
		for (size_t i = PRICES; i < VALUES; i++)
			most[i] = BF_MODEL_TOKENS_MAX;
		most[VALUES - 1] = UINT32_MAX;
		for (uint16_t i = 0; i < bf_price_fields_table.field_count; i++) {
			const struct bf_field *f = &bf_price_fields_table.fields[i];

			most[f->offset / sizeof(int64_t)] = f->max;
		}
	}
	return most[value];
}

static bool take_values(struct bytes *b, uint64_t given, struct bf_conf_sheet_price *ret)
{
	int64_t values[VALUES];

	if (given >> VALUES)
		return false;
	for (size_t i = 0; i < VALUES; i++) {
		values[i] = not_given(i);
		if (!(given >> i & 1))
			continue;
		if (!take(b, &values[i], sizeof(values[i])) || values[i] < 0 ||
		    values[i] > most_of(i))
			return false;
	}
	memcpy(&ret->price, values, sizeof(ret->price));
	memcpy(&ret->facts, values + PRICES, sizeof(ret->facts));
	return true;
}

static bool take_entry(struct bytes *b, struct bf_conf_sheet_price *ret)
{
	struct record r;

	if (!take(b, &r, sizeof(r)) || r.mode >= BF_PRICE_MODES || r.key == 0 || r.zero != 0)
		return false;
	ret->mode = (int32_t)r.mode;
	return take_values(b, r.given, ret) && take_text(b, r.key, &ret->key) &&
	       take_text(b, r.provider, &ret->provider) &&
	       take_text(b, r.base_model, &ret->base_model);
}

int bf_price_unpack(struct bf_slice piece, struct bf_arena *arena, uint32_t room,
		    struct bf_array *io_entries, struct bf_err *err)
{
	struct bf_conf_sheet_price *items = io_entries->items;
	struct piece_head head;
	uint32_t count;
	size_t len;
	char *copy;

	if (!bf_price_piece(piece, &len, &count) || len != piece.len)
		return bf_err_set(err, BF_E_SYNTAX, "price sheet: this is no piece of one");
	memcpy(&head, piece.ptr, sizeof(head));
	if (head.values != VALUES)
		return bf_err_set(err, BF_E_VERSION, "price sheet: another build packed it");
	if (count > room - io_entries->count)
		return bf_err_set(err, BF_E_LIMIT, "price sheet: has more entries than it says");
	copy = bf_arena_alloc(arena, len);
	if (!copy)
		return bf_err_sys(err, -ENOMEM, "price sheet");
	memcpy(copy, piece.ptr, len);
	struct bytes b = {copy + sizeof(head), len - sizeof(head)};
	for (uint32_t i = 0; i < count; i++, io_entries->count++)
		if (!take_entry(&b, &items[io_entries->count]))
			return bf_err_set(err, BF_E_SYNTAX, "price sheet: entry %u is none",
					  io_entries->count);
	return b.left == 0 ? 0 : bf_err_set(err, BF_E_SYNTAX, "price sheet: bytes are left over");
}
