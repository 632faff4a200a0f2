/* Bytes that are no blob: cut anywhere, every byte turned, other seals, other numbers. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/snapshot/snapshot_priv.h"
#include "tests/support/snapshot_of.h"

#define TEXT(s) BF_SLICE_INIT(s)
#define SEALS   (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static char *bytes;
static size_t length;

/* A small one of every kind of record. */
static int setup(void **state)
{
	struct bf_conf_virtual_key key = {.own = {.id = TEXT("k"), .name = TEXT("Key")},
					  .value = TEXT("sk-bf-1")};
	struct bf_conf_team team = {.own = {.id = TEXT("t"), .name = TEXT("Team")}};
	struct bf_conf_model_config model = {.own.id = TEXT("m"),
					     .model_name = TEXT("gpt"),
					     .scope = BF_MODEL_VIRTUAL_KEY,
					     .scope_id = TEXT("k")};
	struct bf_snapshot_builder *b = snapshot_of_begin(false, 3);
	struct stat st;
	int fd;

	(void)state;
	snapshot_of_add(b, BF_ENTITY_VIRTUAL_KEY, &key, 1);
	snapshot_of_add(b, BF_ENTITY_TEAM, &team, 1);
	snapshot_of_add(b, BF_ENTITY_MODEL_CONFIG, &model, 1);
	fd = snapshot_of_finish(b);
	if (fstat(fd, &st) < 0)
		return -1;
	length = (size_t)st.st_size;
	bytes = malloc(length);
	if (!bytes || pread(fd, bytes, length, 0) != (ssize_t)length)
		return -1;
	return close(fd);
}

static int teardown(void **state)
{
	(void)state;
	free(bytes);
	return 0;
}

static int memfd_of(const void *content, size_t len, int seals)
{
	int fd = memfd_create("blob", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), (ssize_t)len);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int map(const void *content, size_t len, int seals, struct bf_snapshot_blob **ret_blob)
{
	struct bf_err err = {.code = 0};
	int fd = memfd_of(content, len, seals), r;

	*ret_blob = NULL;
	r = bf_snapshot_map(fd, ret_blob, &err);
	assert_int_equal(r, err.code);
	assert_int_equal(r == 0, *ret_blob != NULL);
	(void)close(fd);
	return r;
}

static void the_right_one(void **state)
{
	struct bf_snapshot_blob *blob;

	(void)state;
	assert_int_equal(map(bytes, length, SEALS, &blob), 0);
	assert_int_equal(bf_snapshot_count(blob, BF_ENTITY_TEAM), 1);
	assert_int_equal(bf_snapshot_count(blob, BF_ENTITY_CUSTOMER), 0);
	assert_int_equal(bf_snapshot_count(blob, UINT32_MAX), 0);
	bf_snapshot_unmap(blob);
	bf_snapshot_unmap(NULL);
}

static void cut_anywhere(void **state)
{
	struct bf_snapshot_blob *blob;

	(void)state;
	for (size_t n = 0; n < length; n++)
		assert_int_equal(map(bytes, n, SEALS, &blob), BF_E_SYNTAX);
}

static void not_sealed(void **state)
{
	static const int missing[] = {0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE};
	struct bf_snapshot_blob *blob;
	struct bf_err err;
	int fds[2];

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(missing); i++)
		assert_int_equal(map(bytes, length, i ? SEALS & ~missing[i] : 0, &blob),
				 BF_E_STATE);
	assert_int_equal(pipe(fds), 0);
	assert_true(bf_snapshot_map(fds[0], &blob, &err) < 0);
	assert_true(bf_snapshot_map(-1, &blob, &err) < 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void header_turned(void **state)
{
	struct bf_snapshot_blob *blob;

	(void)state;
	for (size_t i = 0; i < sizeof(struct snap_header); i++) {
		bytes[i] = (char)~bytes[i];
		assert_int_equal(map(bytes, length, SEALS, &blob), BF_E_SYNTAX);
		bytes[i] = (char)~bytes[i];
	}
}

/* Everything that can be asked. */
static void ask(const struct bf_snapshot_blob *blob)
{
	struct bf_snapshot both[] = {{.base = blob}, {.base = blob, .overlay = blob}};

	for (size_t k = 0; k < BF_ARRAY_LEN(both); k++) {
		const struct bf_snapshot *s = &both[k];
		uint8_t secret[BF_ENTITY_SECRET_LEN];
		struct bf_config config;
		struct bf_snapshot_parts parts;
		struct bf_arena arena;
		struct bf_entity e;

		bf_arena_init(&arena, 1 << 20);
		bf_hmac(snapshot_of_pepper, BF_SLICE_LIT("sk-bf-1"), secret);
		(void)bf_snapshot_find_secret(s, BF_ENTITY_VIRTUAL_KEY, secret, &e);
		(void)bf_snapshot_find(s, BF_ENTITY_TEAM, BF_SLICE_LIT("t"), &e);
		(void)bf_snapshot_common(s);
		for (uint32_t t = 0; t < BF_ENTITY_TYPE_MAX; t++) {
			struct bf_snapshot_cursor c = {0}, of = {0};

			(void)bf_snapshot_live(s, t);
			while (bf_snapshot_next(s, t, &c, &e))
				assert_true(e.id.len > 0);
			while (bf_snapshot_next_of(s, t, BF_SLICE_LIT("k"), &of, &e))
				assert_true(bf_slice_is(e.scope, "k"));
		}
		if (bf_snapshot_find(s, BF_ENTITY_VIRTUAL_KEY, BF_SLICE_LIT("k"), &e))
			(void)bf_snapshot_key_config(s, &e, &arena, &config, &parts, NULL);
		(void)bf_snapshot_common_config(s, &arena, &config, NULL);
		bf_arena_done(&arena);
	}
}

/* Whatever stands behind the header is believed as little as it can be. */
static void bytes_turned(void **state)
{
	struct bf_snapshot_blob *blob;

	(void)state;
	for (size_t i = sizeof(struct snap_header); i < length; i++)
		for (int turn = 0; turn < 3; turn++) {
			char before = bytes[i];

			bytes[i] = (char)(turn == 0 ? ~before : turn == 1 ? 0 : -1);
			assert_int_equal(map(bytes, length, SEALS, &blob), 0);
			ask(blob);
			bf_snapshot_unmap(blob);
			bytes[i] = before;
		}
}

static void expect_header(struct snap_header head, int code)
{
	struct snap_header before;
	struct bf_snapshot_blob *blob;

	memcpy(&before, bytes, sizeof(before));
	head.checksum = snap_checksum(&head);
	memcpy(bytes, &head, sizeof(head));
	assert_int_equal(map(bytes, length, SEALS, &blob), code);
	bf_snapshot_unmap(blob);
	memcpy(bytes, &before, sizeof(before));
}

/* A header that is right by its checksum and by nothing else. */
static void numbers_that_do_not_fit(void **state)
{
	struct snap_header right, h;

	(void)state;
	memcpy(&right, bytes, sizeof(right));
	expect_header(right, 0);
#define TURN(change)                           \
	do {                                   \
		h = right;                     \
		change;                        \
		expect_header(h, BF_E_SYNTAX); \
	} while (0)
	TURN(h.magic++);
	TURN(h.version++);
	TURN(h.kind = 0);
	TURN(h.kind = 3);
	TURN(h.base_id = 0);
	TURN(h.length += 8);
	TURN(h.records_end = 0);
	TURN(h.records_end = h.length + 8);
	TURN(h.records_end += 4);
	TURN(h.places = UINT64_MAX - 7);
	TURN(h.places = h.length);
	TURN(h.places += 4);
	TURN(h.first[3] = UINT32_MAX);
	TURN(h.first[BF_ENTITY_TYPE_MAX] = UINT32_MAX);
	for (unsigned i = 0; i < SNAP_INDEXES; i++) {
		TURN(h.indexes[i].bits = 63);
		TURN(h.indexes[i].bits = SNAP_BITS_MAX);
		TURN(h.indexes[i].count = UINT32_MAX);
		TURN(h.indexes[i].starts = UINT64_MAX - 7);
		TURN(h.indexes[i].starts = h.length);
		TURN(h.indexes[i].starts++);
		TURN(h.indexes[i].postings = 0);
		TURN(h.indexes[i].postings = h.length + 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_right_one), cmocka_unit_test(cut_anywhere),
	    cmocka_unit_test(not_sealed),    cmocka_unit_test(header_turned),
	    cmocka_unit_test(bytes_turned),  cmocka_unit_test(numbers_that_do_not_fit),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
