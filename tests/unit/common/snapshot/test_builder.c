/* What is refused, what may be given at most, and what does not become a snapshot. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/snapshot/builder_priv.h"
#include "tests/support/snapshot_of.h"

#define TEXT(s) BF_SLICE_INIT(s)

static void expect_no(bool is_overlay, const struct bf_entity *e, int code)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(is_overlay, 1);
	struct bf_err err = {.code = 0};
	struct bf_snapshot_blob *blob;

	assert_int_equal(bf_snapshot_builder_add(b, e, &err), code);
	assert_int_equal(err.code, code);
	/* It was refused as a whole: the rest goes on. */
	blob = snapshot_of_end(b);
	assert_int_equal(bf_snapshot_count(blob, e->type), 0);
	bf_snapshot_unmap(blob);
}

static void what_is_refused(void **state)
{
	static const char long_text[BF_ENTITY_BODY_MAX + 1];
	struct bf_entity e = {.type = BF_ENTITY_TEAM, .id = TEXT("t"), .body = TEXT("body")};
	struct bf_entity bad;

	(void)state;
	bad = e;
	bad.type = 0;
	expect_no(false, &bad, BF_E_RANGE);
	bad.type = BF_ENTITY_TYPE_MAX;
	expect_no(false, &bad, BF_E_RANGE);
	bad = e;
	bad.id.len = 0;
	expect_no(false, &bad, BF_E_RANGE);
	bad.id = (struct bf_slice){long_text, BF_ENTITY_ID_MAX + 1};
	expect_no(false, &bad, BF_E_RANGE);
	bad = e;
	bad.scope = (struct bf_slice){long_text, BF_ENTITY_ID_MAX + 1};
	expect_no(false, &bad, BF_E_RANGE);
	bad = e;
	bad.name = (struct bf_slice){long_text, BF_ENTITY_NAME_MAX + 1};
	expect_no(false, &bad, BF_E_RANGE);
	bad = e;
	bad.body = (struct bf_slice){long_text, sizeof(long_text)};
	expect_no(true, &bad, BF_E_RANGE);
	bad = e;
	bad.flags = BF_ENTITY_DELETED;
	expect_no(false, &bad, BF_E_STATE);
}

static void the_most_of_everything(void **state)
{
	char *text = malloc(BF_ENTITY_BODY_MAX);
	struct bf_snapshot_builder *b = snapshot_of_begin(false, UINT64_MAX);
	struct bf_snapshot_blob *blob;
	struct bf_entity e, got;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', BF_ENTITY_BODY_MAX);
	e = (struct bf_entity){.type = BF_ENTITY_MODEL_CONFIG,
			       .flags = BF_ENTITY_QUARANTINED | BF_ENTITY_FROM_FILE,
			       .version = UINT64_MAX,
			       .created_ms = INT64_MIN,
			       .updated_ms = INT64_MAX,
			       .id = {text, BF_ENTITY_ID_MAX},
			       .name = {text, BF_ENTITY_NAME_MAX},
			       .scope = {text, BF_ENTITY_ID_MAX},
			       .body = {text, BF_ENTITY_BODY_MAX}};
	assert_int_equal(bf_snapshot_builder_add(b, &e, NULL), 0);
	blob = snapshot_of_end(b);
	struct bf_snapshot s = {.base = blob};
	struct bf_snapshot_cursor cursor = {0};

	assert_true(bf_snapshot_find(&s, e.type, e.id, &got));
	assert_true(bf_slice_eq(got.body, e.body) && bf_slice_eq(got.name, e.name));
	assert_int_equal(got.flags, e.flags);
	assert_int_equal(got.version, e.version);
	assert_int_equal(got.created_ms, e.created_ms);
	assert_true(bf_snapshot_next_of(&s, e.type, e.scope, &cursor, &got));
	/* One more than an id may have is nobody's, not somebody's with the same beginning. */
	assert_false(
	    bf_snapshot_find(&s, e.type, (struct bf_slice){text, BF_ENTITY_ID_MAX + 1}, &got));
	assert_int_equal(bf_snapshot_base_id(blob), UINT64_MAX);
	assert_memory_equal(bf_snapshot_pepper(blob), snapshot_of_pepper, BF_SNAPSHOT_PEPPER_LEN);
	assert_false(bf_snapshot_is_overlay(blob));
	assert_true(bf_snapshot_bytes(blob) > BF_ENTITY_BODY_MAX);
	bf_snapshot_unmap(blob);
	free(text);
}

static void an_id_twice(void **state)
{
	struct bf_entity e = {.type = BF_ENTITY_TEAM, .id = TEXT("t"), .body = TEXT("body")};
	struct bf_snapshot_builder *b = snapshot_of_begin(false, 1);
	struct bf_err err = {.code = 0};

	(void)state;
	assert_int_equal(bf_snapshot_builder_add(b, &e, &err), 0);
	e.type = BF_ENTITY_CUSTOMER;
	assert_int_equal(bf_snapshot_builder_add(b, &e, &err), 0);
	e.type = BF_ENTITY_TEAM;
	assert_int_equal(bf_snapshot_builder_add(b, &e, &err), 0);
	assert_int_equal(bf_snapshot_builder_finish(b, &err), BF_E_DUPLICATE);
	assert_string_equal(err.text, "snapshot: team \"t\" was added twice");
	/* It is not sealed by asking again. */
	assert_int_equal(bf_snapshot_builder_finish(b, &err), BF_E_STATE);
	assert_int_equal(bf_snapshot_builder_add(b, &e, &err), BF_E_STATE);
	bf_snapshot_builder_close(b);
	bf_snapshot_builder_close(NULL);
}

static void finished_is_finished(void **state)
{
	struct bf_entity e = {.type = BF_ENTITY_TEAM, .id = TEXT("t"), .body = TEXT("body")};
	struct bf_snapshot_builder *b = snapshot_of_begin(true, 1);
	struct bf_err err = {.code = 0};
	int fd = bf_snapshot_builder_finish(b, &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(bf_snapshot_builder_add(b, &e, &err), BF_E_STATE);
	assert_int_equal(bf_snapshot_builder_finish(b, &err), BF_E_STATE);
	bf_snapshot_builder_close(b);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	for (int seal = F_SEAL_SEAL; seal <= F_SEAL_WRITE; seal <<= 1)
		assert_true(fcntl(fd, F_GET_SEALS) & seal);
	(void)close(fd);
}

static void more_than_there_is_room_for(void **state)
{
	struct bf_entity e = {.type = BF_ENTITY_TEAM, .id = TEXT("t"), .body = TEXT("body")};
	struct bf_snapshot_builder *b = snapshot_of_begin(false, 1);
	struct bf_err err = {.code = 0};

	(void)state;
	b->written = BF_SNAPSHOT_MAX_BYTES / 2 + 8;
	assert_int_equal(bf_snapshot_builder_add(b, &e, &err), BF_E_LIMIT);
	assert_int_equal(err.code, BF_E_LIMIT);
	bf_snapshot_builder_close(b);
}

/* Half a blob is never sealed. */
static void writes_that_fail(void **state)
{
	static const char body[BF_ENTITY_BODY_MAX];
	struct bf_entity e = {
	    .type = BF_ENTITY_TEAM, .id = TEXT("t"), .body = {body, sizeof(body)}};
	struct rlimit before, small = {.rlim_cur = 100000};
	struct bf_snapshot_builder *b = snapshot_of_begin(false, 1);
	struct bf_err err = {.code = 0};

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(bf_snapshot_builder_add(b, &e, &err), -EFBIG);
	assert_int_equal(err.code, -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(bf_snapshot_builder_add(b, &e, &err), BF_E_STATE);
	assert_int_equal(bf_snapshot_builder_finish(b, &err), BF_E_STATE);
	bf_snapshot_builder_close(b);
}

/* More than a block, and more than a few buckets: each is found. */
static void many(void **state)
{
	enum {
		COUNT = 5000
	};
	struct bf_snapshot_builder *b = snapshot_of_begin(false, 1);
	struct bf_snapshot_blob *blob;
	char id[16];
	struct bf_entity e = {.type = BF_ENTITY_VIRTUAL_KEY}, got;

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		e.id = (struct bf_slice){id, (size_t)snprintf(id, sizeof(id), "%d", i)};
		e.body =
		    (struct bf_slice){"0123456789012345678901234567890123456789", (size_t)(i % 40)};
		memcpy(e.secret, &i, sizeof(i));
		assert_int_equal(bf_snapshot_builder_add(b, &e, NULL), 0);
	}
	blob = snapshot_of_end(b);
	struct bf_snapshot s = {.base = blob};

	for (int i = 0; i < COUNT; i++) {
		struct bf_slice key = {id, (size_t)snprintf(id, sizeof(id), "%d", i)};

		assert_true(bf_snapshot_find(&s, BF_ENTITY_VIRTUAL_KEY, key, &got));
		assert_int_equal(got.body.len, i % 40);
		memcpy(e.secret, &i, sizeof(i));
		assert_true(bf_snapshot_find_secret(&s, BF_ENTITY_VIRTUAL_KEY, e.secret, &got));
		assert_true(bf_slice_eq(got.id, key));
	}
	bf_snapshot_unmap(blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_refused),
	    cmocka_unit_test(the_most_of_everything),
	    cmocka_unit_test(an_id_twice),
	    cmocka_unit_test(finished_is_finished),
	    cmocka_unit_test(more_than_there_is_room_for),
	    cmocka_unit_test(writes_that_fail),
	    cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
