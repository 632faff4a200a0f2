/* Who may send what to whom, exhaustively against a list of its own, and the codec of every body.
 */
#include "common/ipc/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "tests/support/messages_sample.h"

/* S supervisor, P proxyd, C clusterd, D discoveryd, W writerd, c ctl, R reader: the order of enum
 * bf_role from 1 on. */
static const char letters[] = "-SPCDWcR";

struct permitted {
	uint16_t type;
	bool is_reply;
	const char *routes; /* "sender>receiver" */
	bool with_fd;
};

/* Written from the comments in messages.h; a change of the table must be made here too. */
static const struct permitted expected[] = {
    {1, false, "S>P S>C S>D S>W S>R c>S", false},
    {2, false, "P>S C>S D>S W>S R>S", false},
    {3, false, "S>P", false},
    {4, false, "P>S", false},
    {5, false, "S>P S>C S>D S>W S>R", false},
    {6, false, "S>P", false},
    {7, false, "S>P", false},
    {8, false, "S>W", false},
    {9, false, "W>S", false},
    {10, false, "S>W", false},
    {11, false, "P>S", false},
    {12, false, "P>S C>S D>S W>S R>S", false},
    {16, false, "c>S c>P c>C c>D c>W c>R", false},
    {17, true, "S>c P>c C>c D>c W>c R>c", false},
    {18, false, "c>S", false},
    {19, true, "S>c", false},
    {20, false, "c>S", false},
    {21, false, "c>S", false},
    {22, true, "S>c", false},
    {23, false, "c>S", false},
    {24, false, "c>S", false},
    {25, true, "S>c", false},
    {26, true, "S>c P>c C>c D>c W>c R>c W>R", false},
    {27, true, "S>c P>c C>c D>c W>c R>c S>P R>P W>P S>R W>R R>R", false},
    {32, false, "P>R", false},
    {33, true, "R>P", true},
    {34, false, "c>W", false},
    {35, true, "W>c", false},
    {36, false, "c>S", false},
    {37, false, "W>S", true},
    {38, false, "W>S", true},
    {39, false, "S>P S>R", true},
    {40, true, "P>S R>S S>W", false},
    {41, true, "P>S R>S S>W", false},
    {42, false, "P>W", false},
    {43, false, "P>R", false},
    {44, true, "W>P R>P", true},
    {45, false, "P>R", false},
    {46, false, "R>W", true},
    {47, false, "R>W", false},
};

static const struct permitted *expectation(unsigned type)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(expected); i++) {
		if (expected[i].type == type)
			return &expected[i];
	}
	return NULL;
}

static bool route_expected(const struct permitted *p, unsigned from, unsigned to)
{
	char route[4] = {'?', '>', '?', '\0'};

	if (from == 0 || to == 0 || from > 7 || to > 7)
		return false;
	route[0] = letters[from];
	route[2] = letters[to];
	return strstr(p->routes, route) != NULL;
}

static void test_every_type_and_route(void **state BF_UNUSED)
{
	unsigned allowed = 0;

	for (unsigned type = 0; type < 300; type++) {
		const struct permitted *p = expectation(type);
		for (unsigned route = 0; route < 64 * 64; route++) {
			unsigned from = route / 64, to = route % 64;
			uint8_t flags = p && p->is_reply ? BF_FRAME_REPLY : 0;
			struct bf_frame f = {.flags = flags,
					     .type = (uint16_t)type,
					     .source = BF_ENDPOINT(from, 1),
					     .target = BF_ENDPOINT(to, 0),
					     .request = 1,
					     .fd = -1};
			if (type == 27)
				f.flags |= BF_FRAME_ERROR;
			if (p && p->with_fd)
				f.flags |= BF_FRAME_FD;
			int want = !p                            ? BF_E_UNKNOWN
				   : route_expected(p, from, to) ? 0
								 : BF_E_DENIED;
			assert_int_equal(bf_msg_permitted(&f, NULL), want);
			allowed += want == 0;
		}
	}
	assert_int_equal(allowed, 6 + 5 + 5 + 1 + 1 + 5 + 1 + 1 + 1 + 1 + 1 + 1 + 6 + 6 + 8 + 7 +
				      12 + 2 + 3 + 1 + 1 + 2 + 3 + 3 + 1 + 1 + 2 + 1 + 1 + 1);
	assert_int_equal(bf_msg_permitted(&(struct bf_frame){.type = 65535, .fd = -1}, NULL),
			 BF_E_UNKNOWN);
}

/* Which flags a type may have on a permitted route. */
static void test_every_flag_of_every_type(void **state BF_UNUSED)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(expected); i++) {
		for (unsigned flags = 0; flags < 32; flags++) {
			struct bf_frame f = sample_frame(expected[i].type);
			bool error = expected[i].type == BF_MSG_ERROR;
			bool want = ((flags & BF_FRAME_REPLY) != 0) == expected[i].is_reply &&
				    ((flags & BF_FRAME_ERROR) != 0) == error &&
				    ((flags & BF_FRAME_FD) != 0) ==
					(expected[i].with_fd && !(flags & BF_FRAME_CANCEL));
			f.flags = (uint8_t)flags;
			assert_int_equal(bf_msg_permitted(&f, NULL), want ? 0 : BF_E_DENIED);
		}
	}
}

static void test_no_body_where_none_belongs(void **state BF_UNUSED)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(expected); i++) {
		struct bf_frame f = sample_frame(expected[i].type);
		struct bf_err err = {0};
		bool has_body = sample_message(f.type) != NULL;
		f.body = (struct bf_slice){"\x80", 1};
		assert_int_equal(bf_msg_permitted(&f, &err), has_body ? 0 : BF_E_DENIED);
		if (!has_body)
			assert_non_null(strstr(err.text, bf_msg_def(f.type)->name));
		if (f.flags)
			continue;
		f.flags = BF_FRAME_CANCEL;
		assert_int_equal(bf_msg_permitted(&f, NULL), BF_E_DENIED);
		f.body.len = 0;
		assert_int_equal(bf_msg_permitted(&f, NULL), 0);
	}
}

static void test_denial_names_the_endpoints(void **state BF_UNUSED)
{
	struct bf_frame f = {.type = BF_MSG_STOP, .fd = -1};
	struct bf_err err = {0};

	f.source = BF_ENDPOINT(BF_ROLE_PROXYD, 3);
	f.target = BF_ENDPOINT(BF_ROLE_WRITERD, 0);
	assert_int_equal(bf_msg_permitted(&f, &err), BF_E_DENIED);
	assert_string_equal(err.text,
			    "control message stop: not permitted from proxyd.3 to writerd");
}

/* Decodes a heap copy of the exact size into a message of the type. */
static int decode_copy(uint16_t type, struct bf_slice body, void **ret_message,
		       struct bf_arena *arena)
{
	char *copy = malloc(body.len ? body.len : 1);

	assert_non_null(copy);
	if (body.len)
		memcpy(copy, body.ptr, body.len);
	*ret_message = bf_arena_alloc(arena, bf_msg_def(type)->body->size);
	assert_non_null(*ret_message);
	int r = bf_msg_decode(type, (struct bf_slice){copy, body.len}, *ret_message, arena, NULL);
	free(copy);
	return r;
}

static void encode_sample(uint16_t type, struct bf_buf *out)
{
	bf_buf_init(out, BF_FRAME_MAX_BODY);
	assert_int_equal(bf_msg_encode(type, sample_message(type), out), 0);
}

static void test_round_trip_of_every_type(void **state BF_UNUSED)
{
	for (uint16_t type = 1; type < BF_MSG_TYPE_MAX; type++) {
		const struct bf_msg_def *def = bf_msg_def(type);
		struct bf_arena arena;
		struct bf_buf body;
		void *message;
		if (!def)
			continue;
		assert_int_equal(def->body != NULL, sample_message(type) != NULL);
		encode_sample(type, &body);
		bf_arena_init(&arena, 1 << 20);
		if (def->body) {
			assert_int_equal(decode_copy(type, bf_buf_slice(&body), &message, &arena),
					 0);
			assert_true(bf_table_equal(def->body, sample_message(type), message, 0));
		} else {
			assert_int_equal(bf_buf_len(&body), 0);
			assert_int_equal(
			    bf_msg_decode(type, (struct bf_slice){NULL, 0}, NULL, &arena, NULL), 0);
			assert_int_equal(
			    bf_msg_decode(type, (struct bf_slice){"\x80", 1}, NULL, &arena, NULL),
			    BF_E_SYNTAX);
		}
		bf_arena_done(&arena);
		bf_buf_done(&body);
	}
}

static void test_every_truncation_of_every_body(void **state BF_UNUSED)
{
	for (uint16_t type = 1; type < BF_MSG_TYPE_MAX; type++) {
		struct bf_arena arena;
		struct bf_buf body;
		void *message;
		if (!sample_message(type))
			continue;
		encode_sample(type, &body);
		bf_arena_init(&arena, 1 << 20);
		for (size_t len = 0; len < bf_buf_len(&body); len++) {
			struct bf_slice cut = {bf_buf_slice(&body).ptr, len};
			assert_true(decode_copy(type, cut, &message, &arena) < 0);
			bf_arena_reset(&arena);
		}
		bf_arena_done(&arena);
		bf_buf_done(&body);
	}
}

/* What decodes after a change must be a message that can be sent and read again. */
static void test_every_byte_of_every_body_mutated(void **state BF_UNUSED)
{
	static const uint8_t masks[] = {0x01, 0x10, 0x40, 0x80, 0xff};

	for (uint16_t type = 1; type < BF_MSG_TYPE_MAX; type++) {
		struct bf_arena arena;
		struct bf_buf body, again;
		void *message, *second;
		if (!sample_message(type))
			continue;
		encode_sample(type, &body);
		bf_arena_init(&arena, 1 << 20);
		bf_buf_init(&again, BF_FRAME_MAX_BODY);
		for (size_t i = 0; i < bf_buf_len(&body) * BF_ARRAY_LEN(masks); i++) {
			char *byte = body.data + body.start + i / BF_ARRAY_LEN(masks);
			char old = *byte;
			*byte = (char)(old ^ masks[i % BF_ARRAY_LEN(masks)]);
			int r = decode_copy(type, bf_buf_slice(&body), &message, &arena);
			*byte = old;
			if (r == 0) {
				assert_int_equal(bf_msg_encode(type, message, &again), 0);
				assert_int_equal(
				    decode_copy(type, bf_buf_slice(&again), &second, &arena), 0);
				assert_true(
				    bf_table_equal(bf_msg_def(type)->body, message, second, 0));
			}
			bf_buf_clear(&again);
			bf_arena_reset(&arena);
		}
		bf_buf_done(&again);
		bf_arena_done(&arena);
		bf_buf_done(&body);
	}
}

static int decode_literal(uint16_t type, const char *bytes, size_t len, void *message)
{
	struct bf_arena arena;

	bf_arena_init(&arena, 4096);
	int r = bf_msg_decode(type, (struct bf_slice){bytes, len}, message, &arena, NULL);
	bf_arena_done(&arena);
	return r;
}

static void test_unknown_fields_are_skipped_and_missing_ones_told(void **state BF_UNUSED)
{
	struct bf_msg_node_drain drain = {false};

	assert_int_equal(
	    decode_literal(BF_MSG_NODE_DRAIN, "\x82\xa3new\x91\xc0\xa2on\xc3", 11, &drain), 0);
	assert_true(drain.on);
	assert_int_equal(decode_literal(BF_MSG_NODE_DRAIN, "\x80", 1, &drain), BF_E_MISSING);
	assert_int_equal(decode_literal(BF_MSG_NODE_DRAIN, "\x81\xa2on\x01", 5, &drain), BF_E_TYPE);
	assert_int_equal(decode_literal(BF_MSG_NODE_DRAIN, "\x81\xa2on\xc3\xc0", 6, &drain),
			 BF_E_SYNTAX);
	assert_int_equal(decode_literal(13, "\x80", 1, &drain), BF_E_UNKNOWN);
	assert_int_equal(bf_msg_encode(13, &drain, NULL), BF_E_UNKNOWN);
}

/* The bounds of the tables must fit a frame, or a legal message could not be sent. */
static void test_the_longest_messages_fit(void **state BF_UNUSED)
{
	static char text[BF_TRACED_MAX_BYTES];
	static struct bf_msg_status_item items[BF_STATUS_MAX_ITEMS];
	struct bf_msg_status status = {
	    {text, 64}, UINT64_MAX / 2, INT64_MAX, {items, BF_STATUS_MAX_ITEMS}};
	struct bf_msg_traced traced = {INT64_MIN, {text, sizeof(text)}, true};
	struct bf_msg_diag diag = {true, {text, BF_DIAG_MAX_BYTES}};
	static struct bf_msg_limit rows[BF_LIMITS_PAGE];
	struct bf_msg_limits limits = {INT64_MAX, INT64_MAX, {rows, BF_LIMITS_PAGE}};
	struct bf_arena arena;
	struct bf_buf body;
	void *message;

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < BF_LIMITS_PAGE; i++) {
		const struct bf_slice name = {text, BF_LIMITS_MAX_TEXT}, word = {text, 32};

		rows[i] = (struct bf_msg_limit){
		    word,      name,      name,      name,      name,      name,      name,
		    name,      word,      word,      INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
		    INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, true,      true};
	}
	for (size_t i = 0; i < BF_STATUS_MAX_ITEMS; i++)
		items[i] = (struct bf_msg_status_item){{text, 64}, {text, 512}};
	const struct {
		uint16_t type;
		const void *message;
	} longest[] = {{BF_MSG_STATUS, &status},
		       {BF_MSG_TRACED, &traced},
		       {BF_MSG_DIAG, &diag},
		       {BF_MSG_LIMITS, &limits}};
	bf_arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < BF_ARRAY_LEN(longest); i++) {
		bf_buf_init(&body, BF_FRAME_MAX_BODY);
		assert_int_equal(bf_msg_encode(longest[i].type, longest[i].message, &body), 0);
		assert_int_equal(
		    decode_copy(longest[i].type, bf_buf_slice(&body), &message, &arena), 0);
		bf_buf_done(&body);
	}
	/* One byte beyond a bound is refused by the receiver. */
	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	diag.text.len++;
	assert_int_equal(bf_msg_encode(BF_MSG_DIAG, &diag, &body), 0);
	assert_int_equal(decode_copy(BF_MSG_DIAG, bf_buf_slice(&body), &message, &arena),
			 BF_E_RANGE);
	bf_buf_done(&body);
	/* Beyond a frame even the sender refuses, also into a buffer that would hold it. */
	bf_buf_init(&body, 1 << 20);
	status.process.len = sizeof(text);
	assert_int_equal(bf_msg_encode(BF_MSG_STATUS, &status, &body), BF_E_LIMIT);
	bf_buf_done(&body);
	bf_arena_done(&arena);
}

static void test_rows_are_whole(void **state BF_UNUSED)
{
	unsigned rows = 0;

	for (unsigned type = 0; type <= 0xffff; type++) {
		const struct bf_msg_def *def = bf_msg_def((uint16_t)type);
		const struct permitted *p = expectation(type);
		assert_int_equal(def != NULL, p != NULL);
		if (!def || !p)
			continue;
		rows++;
		assert_true(strlen(def->name) < 24);
		assert_int_equal(def->is_reply, p->is_reply);
		for (uint16_t i = 0; def->body && i < def->body->field_count; i++)
			assert_non_null(def->body->fields[i].doc);
	}
	assert_int_equal(rows, BF_ARRAY_LEN(expected));
}

static void test_document_names_every_message_and_field(void **state BF_UNUSED)
{
	struct bf_buf out;

	bf_buf_init(&out, 1 << 20);
	assert_int_equal(bf_msg_describe(&out), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	for (uint16_t type = 0; type < BF_MSG_TYPE_MAX; type++) {
		const struct bf_msg_def *def = bf_msg_def(type);
		char text[64];
		if (!def)
			continue;
		(void)snprintf(text, sizeof(text), "## %u `%s`\n", type, def->name);
		const char *at = strstr(out.data + out.start, text);
		assert_non_null(at);
		for (uint16_t i = 0; def->body && i < def->body->field_count; i++) {
			(void)snprintf(text, sizeof(text), "| `%s` |", def->body->fields[i].name);
			at = strstr(at, text);
			assert_non_null(at);
		}
	}
	assert_non_null(strstr(out.data + out.start, "| `items.value` |"));
	bf_buf_done(&out);
}

static void test_document_fails_when_it_does_not_fit(void **state BF_UNUSED)
{
	struct bf_buf out;

	bf_buf_init(&out, 1 << 20);
	assert_int_equal(bf_msg_describe(&out), 0);
	size_t whole = bf_buf_len(&out);
	bf_buf_done(&out);
	for (size_t room = 0; room < whole; room += 97) {
		bf_buf_init(&out, room);
		assert_int_equal(bf_msg_describe(&out), BF_E_LIMIT);
		bf_buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_type_and_route),
	    cmocka_unit_test(test_every_flag_of_every_type),
	    cmocka_unit_test(test_no_body_where_none_belongs),
	    cmocka_unit_test(test_denial_names_the_endpoints),
	    cmocka_unit_test(test_round_trip_of_every_type),
	    cmocka_unit_test(test_every_truncation_of_every_body),
	    cmocka_unit_test(test_every_byte_of_every_body_mutated),
	    cmocka_unit_test(test_unknown_fields_are_skipped_and_missing_ones_told),
	    cmocka_unit_test(test_the_longest_messages_fit),
	    cmocka_unit_test(test_rows_are_whole),
	    cmocka_unit_test(test_document_names_every_message_and_field),
	    cmocka_unit_test(test_document_fails_when_it_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
