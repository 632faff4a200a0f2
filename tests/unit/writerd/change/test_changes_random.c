/*
 * Random changes, flips that are refused and deaths in between, against a plain model: each answer
 * is the one that the model expects, and what is in force is what the model has.
 */
#include "tests/unit/writerd/entities_bed.h"

#define VK   BF_ENTITY_VIRTUAL_KEY
#define TEAM BF_ENTITY_TEAM

#define IDS    6
#define ROUNDS 1500

struct thing {
	bool lives;
	uint64_t version; /* of the last one with this id, that lives or not */
	int name;
	int team; /* -1: none */
	char value[64];
};

static struct bed b;
static struct thing teams[IDS], keys[IDS];

static struct thing *things(uint32_t type)
{
	return type == TEAM ? teams : keys;
}

static bool name_is_taken(uint32_t type, int id, int name)
{
	const struct thing *all = things(type);

	for (int i = 0; i < IDS; i++)
		if (i != id && all[i].lives && all[i].name == name)
			return true;
	return false;
}

static bool team_is_named(int id)
{
	for (int i = 0; i < IDS; i++)
		if (keys[i].lives && keys[i].team == id)
			return true;
	return false;
}

/* What the model says of it; 0: it is done. */
static unsigned expect(enum bf_entity_action action, uint32_t type, int id, int name, int team)
{
	const struct thing *t = &things(type)[id];

	if (action == BF_ENTITY_CREATE && t->lives)
		return 409;
	if (action != BF_ENTITY_CREATE && !t->lives)
		return 404;
	if (action == BF_ENTITY_DELETE)
		return type == TEAM && team_is_named(id) ? 409 : 0;
	if (action == BF_ENTITY_ROTATE)
		return type == TEAM ? 400 : 0;
	if (type == VK && team >= 0 && !teams[team].lives)
		return 400;
	return name_is_taken(type, id, name) ? 409 : 0;
}

static void note(enum bf_entity_action action, uint32_t type, int id, int name, int team)
{
	struct thing *t = &things(type)[id];

	t->version++;
	t->lives = action != BF_ENTITY_DELETE;
	if (action == BF_ENTITY_CREATE || action == BF_ENTITY_UPDATE) {
		t->name = name;
		t->team = type == VK ? team : -1;
	}
	if (type == VK && (action == BF_ENTITY_CREATE || action == BF_ENTITY_ROTATE))
		(void)snprintf(t->value, sizeof(t->value), "%.63s", bed_member(&b, "value"));
}

static void compare_one(uint32_t type, int i)
{
	const struct thing *t = &things(type)[i];
	struct bf_entity e;
	char id[16];

	(void)snprintf(id, sizeof(id), "e%d", i);
	bool found = bed_finds(&b, type, id, &e);
	assert_int_equal(found, t->lives);
	if (!found)
		return;
	assert_int_equal(e.version, t->version);
	if (type == VK && t->value[0])
		assert_string_equal(bed_holder(&b, VK, t->value), id);
}

static void compare(void)
{
	for (int i = 0; i < IDS; i++) {
		compare_one(TEAM, i);
		compare_one(VK, i);
	}
}

static void one_change(void)
{
	enum bf_entity_action action = (enum bf_entity_action)(rand() % 4);
	uint32_t type = rand() % 3 ? VK : TEAM;
	int id = rand() % IDS, name = rand() % (2 * IDS), team = rand() % (IDS + 2);
	char text[16], json[128] = "", member[48] = "";
	unsigned expected;

	team = team >= IDS ? -1 : team;
	(void)snprintf(text, sizeof(text), "e%d", id);
	if (type == VK)
		(void)snprintf(member, sizeof(member),
			       team < 0 ? ",\"team_id\":null" : ",\"team_id\":\"e%d\"", team);
	if (action == BF_ENTITY_CREATE || action == BF_ENTITY_UPDATE)
		(void)snprintf(json, sizeof(json), "{\"name\":\"n%d\"%s}", name, member);
	expected = expect(action, type, id, name, team);
	unsigned status = bed_ask(&b, action, type, text, json);
	if (expected) {
		if (status != expected)
			fail_msg("%u and not %u: %s", status, expected, b.json);
		return;
	}
	if (b.mood == BED_TAKES && status != (action == BF_ENTITY_CREATE ? 201u : 200u))
		fail_msg("%u: %s", status, b.json);
	if (b.mood == BED_REFUSES)
		assert_int_equal(status, 503);
	note(action, type, id, name, team);
	/* Whoever was not told the value cannot know it. */
	if (b.mood == BED_REFUSES && action != BF_ENTITY_UPDATE && action != BF_ENTITY_DELETE)
		things(type)[id].value[0] = '\0';
}

static void what_is_in_force_is_what_the_model_has(void **state)
{
	(void)state;
	srand(20261121);
	bed_open(&b, "providers: {mock: {}}\n");
	for (int round = 0; round < ROUNDS; round++) {
		b.mood = rand() % 20 ? BED_TAKES : BED_REFUSES;
		one_change();
		if (rand() % 60 == 0) {
			b.mood = BED_TAKES;
			bed_stop(&b);
			bed_start(&b);
			compare();
		}
		if (b.mood == BED_TAKES && b.r.publish.base_fd >= 0 && b.status < 300)
			compare();
	}
	bed_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_in_force_is_what_the_model_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
