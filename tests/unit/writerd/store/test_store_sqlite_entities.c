/* Entities in their database when its disk fails: what was reported as not stored is not there,
 * also for who opens it after a death. */
#include "tests/support/disk_remains.h"
#include "tests/unit/writerd/crafted.h"

#include "writerd/entity/entity_make.h"
#include "writerd/store/store_sqlite_entities.h"

static struct entity_store *opened(const char *path)
{
	struct entity_store *s = NULL;
	uint8_t pepper[32];
	struct bf_err err = {0};

	if (entity_store_open(path, (struct bf_slice){NULL, 0}, false, &s, pepper, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static int put(struct entity_store *s, const char *id)
{
	const struct bf_entity e = {.type = BF_ENTITY_TEAM, .id = bf_slice_from(id), .version = 1};
	struct entity *x = entity_new(&e, NULL, 0);
	struct bf_err err = {0};
	int r;

	assert_non_null(x);
	assert_int_equal(entity_store_begin(s, &err), 0);
	r = entity_store_put(s, x, &err);
	entity_free(x);
	if (r == 0)
		r = entity_store_commit(s, &err);
	if (r < 0)
		entity_store_rollback(s);
	return r;
}

static int list_one(void *ctx, const struct bf_entity *e, uint64_t hlc, const uint8_t file_hash[32],
		    struct bf_err *err)
{
	(void)hlc;
	(void)file_hash;
	(void)err;
	strncat(ctx, e->id.ptr, e->id.len);
	return 0;
}

static void has(struct entity_store *s, const char *wanted)
{
	char ids[64] = "";
	struct bf_err err = {0};

	assert_int_equal(entity_store_load(s, list_one, ids, &err), 0);
	assert_string_equal(ids, wanted);
}

/* As the next process finds it, when this one is killed now. */
static void left_behind(const struct crafted *c, const char *wanted)
{
	struct disk_image images[DISK_FILES] = {{NULL, 0, false}};
	struct entity_store *s;
	char left[128];

	(void)snprintf(left, sizeof(left), "%s/left.db", c->folder);
	disk_remains(disk.count, DISK_LOSES_NOTHING, 0, images);
	disk_lay_out(images, left);
	disk_free(images);
	s = opened(left);
	has(s, wanted);
	entity_store_close(s);
}

static void a_commit_that_failed_does_not_come_back(void **state)
{
	struct entity_store *s;
	struct crafted c;
	char path[128];

	(void)state;
	crafted_init(&c);
	(void)snprintf(path, sizeof(path), "%s/config.db", c.folder);
	disk_begin(path);
	s = opened(path);
	assert_int_equal(put(s, "a"), 0);
	for (unsigned syncs = 1; syncs <= 2; syncs++) {
		disk.fail_syncs = syncs;
		assert_true(put(s, "b") < 0);
		has(s, "a");
		left_behind(&c, "a");
		disk.fail_syncs = 0;
	}
	assert_int_equal(put(s, "c"), 0);
	has(s, "ac");
	left_behind(&c, "ac");
	entity_store_close(s);
	disk_end();
	crafted_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_commit_that_failed_does_not_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
