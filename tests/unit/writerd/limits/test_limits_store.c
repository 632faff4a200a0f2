/* Limits and a store that refuses for a while, that somebody moves away, or that there is none of.
 */
#include "tests/unit/writerd/limits_bed.h"

static struct {
	struct store base;
	bool refuses;
} moody;

static int moody_begin(struct store *s, struct bf_err *err)
{
	(void)s;
	return moody.refuses ? bf_err_set(err, BF_E_FULL, "full") : store->ops->begin(store, err);
}

static int moody_commit(struct store *s, struct bf_err *err)
{
	(void)s;
	return store->ops->commit(store, err);
}

static void moody_rollback(struct store *s)
{
	(void)s;
	store->ops->rollback(store);
}

static int moody_add(struct store *s, uint64_t identity, int64_t window,
		     const struct store_total *more, struct store_total *ret_now,
		     struct bf_err *err)
{
	(void)s;
	return store->ops->add_total(store, identity, window, more, ret_now, err);
}

static int moody_newest(struct store *s, uint64_t identity, int64_t least, int64_t most,
			int64_t *ret_window, struct store_total *ret_total, struct bf_err *err)
{
	(void)s;
	return moody.refuses ? bf_err_set(err, BF_E_FULL, "full")
			     : store->ops->newest_total(store, identity, least, most, ret_window,
							ret_total, err);
}

static int moody_is_watched(struct store *s, uint64_t identity, uint64_t *ret_about,
			    struct bf_err *err)
{
	(void)s;
	return store->ops->is_watched(store, identity, ret_about, err);
}

static int moody_watch(struct store *s, uint64_t identity, uint64_t about, struct bf_err *err)
{
	(void)s;
	return store->ops->watch(store, identity, about, err);
}

static int moody_unwatch(struct store *s, const uint64_t *identities, size_t count,
			 struct bf_err *err)
{
	(void)s;
	return store->ops->unwatch_others(store, identities, count, err);
}

static int moody_unwatch_one(struct store *s, uint64_t identity, struct bf_err *err)
{
	(void)s;
	return store->ops->unwatch(store, identity, err);
}

static const struct store_ops moody_ops = {
    .begin = moody_begin,
    .commit = moody_commit,
    .rollback = moody_rollback,
    .add_total = moody_add,
    .newest_total = moody_newest,
    .is_watched = moody_is_watched,
    .watch = moody_watch,
    .unwatch = moody_unwatch_one,
    .unwatch_others = moody_unwatch,
};

static void a_store_that_does_not_tell(void **state)
{
	struct bf_config one = config_of(1), both = config_of(2);
	struct limits l;

	(void)state;
	start(&l, &one, store);
	limits_done(&l);
	moody.base.ops = &moody_ops;
	moody.refuses = true;
	start(&l, &both, &moody.base);
	/* What lived serves on; the others are not opened with a guess. */
	assert_int_equal(l.closed, 3);
	assert_true(meter_of(&l, "vk-1", BF_QUANTITY_TOKENS) != SHM_METER_NOWHERE);
	assert_int_equal(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS), SHM_METER_NOWHERE);
	assert_true(is_ill(SHM_H_LIMITS_UNPLACED));
	assert_int_equal(shm_metric_sum(&c.seg, SHM_M_LIMITS_UNPLACED), 3);
	limits_second(&l);
	assert_int_equal(l.closed, 3);
	moody.refuses = false;
	limits_second(&l);
	assert_int_equal(l.closed, 0);
	assert_true(meter_of(&l, "vk-2", BF_QUANTITY_TOKENS) != SHM_METER_NOWHERE);
	assert_false(is_ill(SHM_H_LIMITS_UNPLACED));
	limits_done(&l);
}

/* Somebody moves the file away: a new one is made, and nothing that was used is forgotten. */
static void a_file_that_is_moved_away(void **state)
{
	struct bf_config config = config_of(1);
	char moved[128];
	struct bf_err err = {0};
	struct limits l;
	uint32_t m;

	(void)state;
	start(&l, &config, store);
	m = meter_of(&l, "vk-1", BF_QUANTITY_TOKENS);
	write_row(&l, 1, 40);
	(void)snprintf(moved, sizeof(moved), "%s/old.db", c.folder);
	assert_int_equal(rename(c.path, moved), 0);
	assert_true(store->ops->begin(store, &err) < 0);
	assert_int_equal(store->ops->mend(store, &err), 0);
	assert_int_equal(limits_keep(&l, &err), 0);
	assert_int_equal(limits_keep(&l, &err), 0);
	assert_int_equal(crafted_number(&c, "SELECT max(settled) FROM meter_totals"), 40);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 0);
	write_row(&l, 2, 2);
	assert_int_equal(info_of(m).settled, 42);
	limits_done(&l);
	/* The same while nobody ran. */
	store->ops->close(store);
	assert_int_equal(rename(c.path, moved), 0);
	store = crafted_store(&c);
	start(&l, &config, store);
	assert_int_equal(info_of(m).settled, 42);
	assert_int_equal(crafted_number(&c, "SELECT max(settled) FROM meter_totals"), 42);
	limits_done(&l);
}

/* Another program locks the file while writerd starts: it waits, and goes on by itself. */
static void a_file_that_is_locked_at_the_start(void **state)
{
	struct bf_config config = config_of(1);
	struct bf_err err = {0};
	sqlite3 *other = NULL;
	struct limits l;

	(void)state;
	store->ops->close(store);
	assert_int_equal(sqlite3_open(c.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	store = NULL;
	assert_int_equal(store_sqlite_open(c.path, "", &store, &err), BF_E_TIMEOUT);
	assert_non_null(store);
	start(&l, &config, store);
	assert_int_equal(l.closed, 4);
	limits_second(&l);
	assert_int_equal(l.closed, 4);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(other);
	limits_second(&l);
	assert_int_equal(l.closed, 0);
	write_row(&l, 1, 40);
	limits_done(&l);
}

static void without_a_store(void **state)
{
	struct bf_config config = config_of(1);
	struct limits l;
	uint32_t m;

	(void)state;
	start(&l, &config, store_null_open());
	m = meter_of(&l, "vk-1", BF_QUANTITY_TOKENS);
	write_row(&l, 1, 40);
	write_row(&l, 2, 2);
	assert_int_equal(info_of(m).settled, 42);
	limits_done(&l);
	start(&l, &config, store_null_open());
	assert_int_equal(info_of(m).settled, 42);
	limits_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIMITS_TEST(a_store_that_does_not_tell),
	    LIMITS_TEST(a_file_that_is_moved_away),
	    LIMITS_TEST(a_file_that_is_locked_at_the_start),
	    LIMITS_TEST(without_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
