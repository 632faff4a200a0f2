/* Which blobs are held: bases and overlays in every order, what is refused, what is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/snapshot/builder.h"
#include "common/snapshot/holder.h"

static const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN] = {7};

/* A base or overlay with one customer of this name; empty: none. */
static int blob(bool is_overlay, uint64_t base_id, const char *name)
{
	struct bf_snapshot_builder *b = NULL;
	struct bf_conf_customer customer = {.own = {.id = BF_SLICE_LIT("c")}};
	struct bf_entity e;
	struct bf_buf body;
	int fd;

	customer.own.name = bf_slice_from(name);
	bf_buf_init(&body, 1 << 16);
	assert_int_equal(bf_snapshot_builder_open(&b, is_overlay, base_id, pepper, NULL), 0);
	if (*name) {
		assert_int_equal(bf_entity_encode(BF_ENTITY_CUSTOMER, &customer, &body, &e), 0);
		e.version = 1;
		assert_int_equal(bf_snapshot_builder_add(b, &e, NULL), 0);
	}
	fd = bf_snapshot_builder_finish(b, NULL);
	assert_true(fd >= 0);
	bf_snapshot_builder_close(b);
	bf_buf_done(&body);
	return fd;
}

static int take(struct bf_snapshot_holder *h, bool is_overlay, uint64_t base_id, const char *name,
		uint64_t generation)
{
	struct bf_err err = {0};
	int fd = blob(is_overlay, base_id, name);
	int r = bf_snapshot_take(h, fd, generation, &err);

	(void)close(fd);
	assert_true((r < 0) == (err.text[0] != '\0'));
	return r;
}

/* The customer's name when this generation is in force; "": there is none, NULL: nothing is. */
static const char *name_at(struct bf_snapshot_holder *h, uint64_t generation)
{
	static char name[32];
	const struct bf_snapshot *s = bf_snapshot_now(h, generation);
	struct bf_entity e;

	if (!s)
		return NULL;
	name[0] = '\0';
	if (bf_snapshot_find(s, BF_ENTITY_CUSTOMER, BF_SLICE_LIT("c"), &e))
		(void)snprintf(name, sizeof(name), "%.*s", BF_SLICE_FMT(e.name));
	return name;
}

static void one_after_the_other(void **state)
{
	struct bf_snapshot_holder h = {0};

	(void)state;
	assert_null(name_at(&h, 0));
	assert_int_equal(take(&h, false, 1, "base", 0), 0);
	assert_null(name_at(&h, 5));
	assert_int_equal(take(&h, true, 1, "", 5), 0);
	assert_null(name_at(&h, 4));
	assert_string_equal(name_at(&h, 5), "base");
	/* The next one is held beside it, until the header says so. */
	assert_int_equal(take(&h, true, 1, "six", 6), 0);
	assert_string_equal(name_at(&h, 5), "base");
	assert_string_equal(name_at(&h, 6), "six");
	/* A clock of generations never goes back. */
	assert_null(name_at(&h, 5));
	assert_string_equal(name_at(&h, 6), "six");
	bf_snapshot_release(&h);
	assert_null(name_at(&h, 9));
}

/* Another worker refused it: later ones come into force, it never does. */
static void one_that_was_refused_elsewhere(void **state)
{
	struct bf_snapshot_holder h = {0};

	(void)state;
	assert_int_equal(take(&h, false, 1, "base", 0), 0);
	assert_int_equal(take(&h, true, 1, "", 2), 0);
	assert_string_equal(name_at(&h, 2), "base");
	assert_int_equal(take(&h, true, 1, "refused", 3), 0);
	assert_string_equal(name_at(&h, 2), "base");
	assert_false(bf_snapshot_is_behind(&h, 2));
	assert_int_equal(take(&h, true, 1, "four", 4), 0);
	assert_string_equal(name_at(&h, 4), "four");
	bf_snapshot_release(&h);
}

/* The next one is in force before this process has heard of it: what was in force serves nobody. */
static void what_is_older_is_not_in_force(void **state)
{
	struct bf_snapshot_holder h = {0};

	(void)state;
	assert_false(bf_snapshot_is_behind(&h, 0));
	assert_false(bf_snapshot_is_behind(&h, 70));
	assert_int_equal(take(&h, false, 1, "base", 0), 0);
	assert_true(bf_snapshot_is_behind(&h, 70));
	assert_int_equal(take(&h, true, 1, "", 71), 0);
	assert_true(bf_snapshot_is_behind(&h, 70));
	assert_null(bf_snapshot_held(&h, 70));
	assert_string_equal(name_at(&h, 71), "base");
	assert_false(bf_snapshot_is_behind(&h, 71));
	assert_null(name_at(&h, 72));
	assert_true(bf_snapshot_is_behind(&h, 72));
	assert_non_null(bf_snapshot_held(&h, 72));
	assert_int_equal(take(&h, true, 1, "newer", 72), 0);
	assert_false(bf_snapshot_is_behind(&h, 72));
	assert_string_equal(name_at(&h, 72), "newer");
	bf_snapshot_release(&h);
}

static void another_base(void **state)
{
	struct bf_snapshot_holder h = {0};

	(void)state;
	assert_int_equal(take(&h, false, 1, "one", 0), 0);
	assert_int_equal(take(&h, true, 1, "", 2), 0);
	assert_string_equal(name_at(&h, 2), "one");
	assert_int_equal(take(&h, false, 2, "two", 0), 0);
	assert_string_equal(name_at(&h, 2), "one");
	/* Overlays of the old one may still come. */
	assert_int_equal(take(&h, true, 1, "changed", 3), 0);
	assert_string_equal(name_at(&h, 3), "changed");
	assert_int_equal(take(&h, true, 2, "", 4), 0);
	assert_string_equal(name_at(&h, 3), "changed");
	assert_string_equal(name_at(&h, 4), "two");
	assert_int_equal(take(&h, true, 1, "", 5), BF_E_STATE);
	assert_string_equal(name_at(&h, 4), "two");
	bf_snapshot_release(&h);
}

static void what_never_came_into_force_gives_way(void **state)
{
	struct bf_snapshot_holder h = {0};

	(void)state;
	assert_int_equal(take(&h, false, 1, "one", 0), 0);
	assert_int_equal(take(&h, false, 2, "two", 0), 0);
	assert_int_equal(take(&h, true, 1, "", 3), BF_E_STATE);
	assert_int_equal(take(&h, true, 2, "refused", 3), 0);
	assert_int_equal(take(&h, true, 2, "again", 4), 0);
	assert_null(name_at(&h, 3));
	assert_string_equal(name_at(&h, 4), "again");
	bf_snapshot_release(&h);
}

static void what_is_out_of_place_changes_nothing(void **state)
{
	struct bf_snapshot_holder h = {0};
	struct bf_err err = {0};
	int fd = memfd_create("garbage", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(take(&h, true, 1, "", 0), BF_E_STATE);
	assert_int_equal(take(&h, false, 1, "", 1), BF_E_STATE);
	assert_int_equal(take(&h, true, 1, "", 1), BF_E_STATE);
	assert_true(bf_snapshot_take(&h, fd, 0, &err) < 0);
	assert_true(bf_snapshot_take(&h, -1, 1, &err) < 0);
	assert_int_equal(take(&h, false, 1, "one", 0), 0);
	assert_int_equal(take(&h, true, 1, "", 2), 0);
	assert_true(bf_snapshot_take(&h, fd, 3, &err) < 0);
	assert_string_equal(name_at(&h, 2), "one");
	(void)close(fd);
	bf_snapshot_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_after_the_other),
	    cmocka_unit_test(one_that_was_refused_elsewhere),
	    cmocka_unit_test(what_is_older_is_not_in_force),
	    cmocka_unit_test(another_base),
	    cmocka_unit_test(what_never_came_into_force_gives_way),
	    cmocka_unit_test(what_is_out_of_place_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
