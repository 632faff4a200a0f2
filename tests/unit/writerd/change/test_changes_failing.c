/* Changes whose store or supervisor fails halfway: nothing is left behind, and nothing that comes
 * later rests on it. */
#include "tests/unit/writerd/entities_bed.h"

#include "common/base/clock.h"

#define TEAM   BF_ENTITY_TEAM
#define CREATE BF_ENTITY_CREATE

#define PLAIN "providers: {mock: {}}\n"

static struct bed b;

static void let_the_answer_be_late(void)
{
	ev_invoke(b.loop, &b.r.publish.limit, EV_TIMER);
}

/* Nobody knows whether it is in force: the next one does not rest on either. */
static void an_answer_that_never_comes_leaves_nothing_behind(void **state)
{
	const struct bf_msg_entity_change ask = bed_change(CREATE, TEAM, "t", "{\"name\":\"a\"}");

	(void)state;
	bed_open(&b, PLAIN);
	b.mood = BED_MUTE;
	publish_rebase(&b.r.publish);
	bed_settle(&b);
	assert_int_equal(b.bases, 2);
	assert_true(publish_is_busy(&b.r.publish));
	let_the_answer_be_late();
	assert_true(publish_is_busy(&b.r.publish));
	let_the_answer_be_late();
	assert_false(publish_is_busy(&b.r.publish));
	b.mood = BED_TAKES;
	bed_ask_well(&b, CREATE, TEAM, "s", "{\"name\":\"s\"}");
	assert_true(bed_finds(&b, TEAM, "s", NULL));
	assert_int_equal(b.bases, 3);
	/* One that is only late counts. */
	b.mood = BED_MUTE;
	bed_send(&b, &ask);
	let_the_answer_be_late();
	publish_answered(&b.r.publish, b.r.publish.request, true);
	bed_settle(&b);
	assert_int_equal(b.status, 201);
	b.mood = BED_TAKES;
	bed_ask_well(&b, CREATE, TEAM, "u", "{\"name\":\"b\"}");
	assert_int_equal(b.bases, 3);
	bed_close(&b);
}

/* The disk may end a transaction in the middle of a group: nothing of the group is stored then. */
static void a_group_is_stored_whole_or_not_at_all(void **state)
{
	static const char *const ids[] = {"first", "before", "bad", "behind"};
	sqlite3 *other = NULL;
	char json[64];

	(void)state;
	bed_open(&b, PLAIN);
	assert_int_equal(sqlite3_open(b.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other,
				      "CREATE TRIGGER no BEFORE INSERT ON entities WHEN NEW.id = "
				      "'bad' BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	(void)sqlite3_close(other);
	for (unsigned i = 0; i < BF_ARRAY_LEN(ids); i++) {
		(void)snprintf(json, sizeof(json), "{\"name\":\"%s\"}", ids[i]);
		const struct bf_msg_entity_change ask = bed_change(CREATE, TEAM, ids[i], json);
		bed_send(&b, &ask);
	}
	bed_settle(&b);
	assert_int_equal(b.answers, BF_ARRAY_LEN(ids));
	assert_int_equal(b.status, 503);
	for (int again = 0; again < 2; again++) {
		assert_true(bed_finds(&b, TEAM, "first", NULL));
		assert_int_equal(entities_count(b.r.t, TEAM), 1);
		bed_stop(&b);
		bed_start(&b);
	}
	bed_ask_well(&b, CREATE, TEAM, "behind", "{\"name\":\"x\"}");
	bed_close(&b);
}

/* ---- a start whose store takes nothing */

static void sql(const char *text)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(b.path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void try_again(void)
{
	b.r.retry_at_ms = bf_mono_ms();
	registry_second(&b.r);
	bed_settle(&b);
}

/* Nothing seals, so there is no copy: what store and file say is in force all the same, and what
 * the API took away stays away. */
static void what_the_file_says_needs_no_room_on_the_disk(void **state)
{
	static const char before[] =
	    PLAIN "governance: {teams: [{id: t, name: a}, {id: gone, name: b}]}\n";
	static const char now[] = PLAIN
	    "governance: {teams: [{id: t, name: z}, {id: gone, name: b}, {id: n, name: c}]}\n";
	struct bf_entity e;

	(void)state;
	bed_open(&b, before);
	bed_ask_well(&b, BF_ENTITY_DELETE, TEAM, "gone", "");
	bed_ask_well(&b, CREATE, TEAM, "mine", "{\"name\":\"m\"}");
	sql("CREATE TRIGGER no BEFORE INSERT ON entities BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
	bed_again(&b, now);
	for (int tries = 0; tries < 2; tries++) {
		assert_true(bed_finds(&b, TEAM, "t", &e) && bf_slice_is(e.name, "z"));
		assert_true(bed_finds(&b, TEAM, "n", NULL));
		assert_true(bed_finds(&b, TEAM, "mine", NULL));
		assert_false(bed_finds(&b, TEAM, "gone", NULL));
		bed_ask_badly(&b, CREATE, TEAM, "o", "{\"name\":\"o\"}", 503,
			      "config_store_unusable");
		try_again();
	}
	sql("DROP TRIGGER no");
	try_again();
	assert_null(registry_refusal(&b.r));
	bed_ask_well(&b, CREATE, TEAM, "o", "{\"name\":\"o\"}");
	bed_again(&b, now);
	assert_true(bed_finds(&b, TEAM, "n", NULL));
	assert_false(bed_finds(&b, TEAM, "gone", NULL));
	assert_int_equal(entities_live(b.r.t, TEAM, BF_SLICE_LIT("t"))->e.version, 2);
	bed_close(&b);
}

/* ---- groups at random, of which the store refuses some */

#define IDS 6

/* One statement of a group, or all of it. */
static void let_fail(int id, int how)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "UPDATE fails SET id = 't%d', how = %d", id, how);
	sql(text);
}

static void send_one(void)
{
	static const enum bf_entity_action actions[] = {CREATE, BF_ENTITY_UPDATE, BF_ENTITY_DELETE};
	enum bf_entity_action action = actions[rand() % 3];
	int n = rand() % IDS;
	char id[8], json[32] = "";

	(void)snprintf(id, sizeof(id), "t%d", n);
	if (action != BF_ENTITY_DELETE)
		(void)snprintf(json, sizeof(json), "{\"name\":\"n%d\"}", n);
	const struct bf_msg_entity_change ask = bed_change(action, TEAM, id, json);
	bed_send(&b, &ask);
}

static uint32_t teams_in_table(void)
{
	const struct entity *x;
	uint64_t at = 0;
	uint32_t n = 0;

	while ((x = entities_each(b.r.t, &at)))
		n += x->e.type == TEAM;
	return n;
}

/* Of each what the table has is in the store, and in force. */
static void store_and_table_agree(void)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	uint32_t rows = 0;

	assert_int_equal(sqlite3_open(b.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT id, version, flags & 1 FROM entities WHERE "
					    "type = 'team'",
					    -1, &st, NULL),
			 SQLITE_OK);
	for (; sqlite3_step(st) == SQLITE_ROW; rows++) {
		const char *id = (const char *)sqlite3_column_text(st, 0);
		const struct entity *x = entities_find(b.r.t, TEAM, bf_slice_from(id));

		assert_non_null(x);
		assert_int_equal(x->e.version, sqlite3_column_int64(st, 1));
		assert_int_equal(!entity_is_live(x), sqlite3_column_int(st, 2));
		assert_int_equal(bed_finds(&b, TEAM, id, NULL), entity_is_live(x));
	}
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(rows, teams_in_table());
}

static void what_fails_at_random_leaves_nothing(void **state)
{
	(void)state;
	srand(5);
	bed_open(&b, PLAIN);
	sql("CREATE TABLE fails (id TEXT, how INTEGER); INSERT INTO fails VALUES ('', 0);"
	    "CREATE TRIGGER no BEFORE INSERT ON entities BEGIN SELECT CASE"
	    " (SELECT how FROM fails WHERE id = NEW.id) WHEN 1 THEN RAISE(ABORT, 'no')"
	    " WHEN 2 THEN RAISE(ROLLBACK, 'no') END; END");
	for (int round = 0; round < 150; round++) {
		let_fail(rand() % IDS, rand() % 3);
		for (int n = 2 + rand() % 8; n > 0; n--)
			send_one();
		bed_settle(&b);
		store_and_table_agree();
		if (round % 40 == 39) {
			bed_stop(&b);
			bed_start(&b);
			store_and_table_agree();
		}
	}
	bed_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_that_never_comes_leaves_nothing_behind),
	    cmocka_unit_test(a_group_is_stored_whole_or_not_at_all),
	    cmocka_unit_test(what_the_file_says_needs_no_room_on_the_disk),
	    cmocka_unit_test(what_fails_at_random_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
