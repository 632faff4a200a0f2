/* Snapshots on their way through the supervisor, with real processes that take them, or do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "supervisor/snapshot.h"
#include "support/fd_count.h"
#include "world.h"

static struct world w;
static struct snapshots s;

static void on_frame(struct world *world, struct child *child, struct bf_frame *f)
{
	(void)world;
	if (f->type == BF_MSG_READY)
		child_feed(child, CHILD_EV_READY, NULL);
	else
		snapshots_frame(&s, child, f);
}

static void on_greeted(void *owner, struct child *child)
{
	(void)owner;
	snapshots_greeted(&s, child);
}

static void on_ready(void *owner, struct child *child)
{
	world_on_ready(owner, child);
	snapshots_ready(&s, child);
}

static void on_gone(void *owner, struct child *child, int wait_status)
{
	world_on_gone(owner, child, wait_status);
	snapshots_gone(&s, child);
}

/* Workers do what how says. */
static void begin(const char *how)
{
	static struct crew_events events;

	world_init(&w, 2);
	events = world_events;
	events.on_greeted = on_greeted;
	events.on_ready = on_ready;
	events.on_gone = on_gone;
	w.crew.events = &events;
	w.on_frame = on_frame;
	(void)close(w.slices.fds[BF_ROLE_PROXYD]);
	w.slices.fds[BF_ROLE_PROXYD] = config_of(how);
	assert_int_equal(crew_init(&w.crew, &w.slices, 2), 0);
	snapshots_init(&s, &w.crew);
	crew_start(&w.crew);
	WORLD_UNTIL(&w, world_all_ready(&w));
}

static int teardown(void **state)
{
	(void)state;
	snapshots_done(&s);
	world_done(&w);
	return 0;
}

static struct child *writer(void)
{
	return crew_find(&w.crew, BF_ENDPOINT(BF_ROLE_WRITERD, 0));
}

/* As writerd would; told apart by its size. */
static void give(uint16_t type, size_t size, uint32_t request)
{
	static const char bytes[256];
	struct bf_frame f = {.type = type,
			     .source = writer()->endpoint,
			     .request = request,
			     .fd = bf_memfd_sealed("test", bytes, size)};

	snapshots_frame(&s, writer(), &f);
	if (f.fd >= 0)
		(void)close(f.fd);
}

static unsigned everybody_notes(const char *what)
{
	char line[3][64];

	(void)snprintf(line[0], sizeof(line[0]), "proxyd.0 %s", what);
	(void)snprintf(line[1], sizeof(line[1]), "proxyd.1 %s", what);
	(void)snprintf(line[2], sizeof(line[2]), "reader.0 %s", what);
	return world_notes(&w, line[0]) + world_notes(&w, line[1]) + world_notes(&w, line[2]);
}

static int64_t metric(enum shm_metric m)
{
	return shm_metric_sum(&w.segment.shm, m);
}

static bool refused(void)
{
	return shm_health_all(&w.segment.shm) & (UINT64_C(1) << SHM_H_SNAPSHOT_REFUSED);
}

static void test_everybody_takes(void **state)
{
	int fds;

	(void)state;
	begin("obey");
	shm_set_generation(&w.segment.shm, 0);
	give(BF_MSG_SNAPSHOT_BASE, 100, 1);
	WORLD_UNTIL(&w, world_notes(&w, "writerd.0 snapshot_taken") == 1);
	/* A base alone is nothing. */
	assert_int_equal(shm_generation(&w.segment.shm), 0);
	assert_int_equal(everybody_notes("map 100"), 0);
	give(BF_MSG_SNAPSHOT_OVERLAY, 10, 2);
	WORLD_UNTIL(&w, world_notes(&w, "writerd.0 snapshot_taken") == 2);
	assert_int_equal(shm_generation(&w.segment.shm), 1);
	WORLD_UNTIL(&w, everybody_notes("map 100") == 3 && everybody_notes("map 10") == 3);
	assert_int_equal(snapshots_bytes(&s), 110);
	assert_int_equal(metric(SHM_M_SNAPSHOT_BYTES), 110);
	fds = fd_count();
	for (uint32_t i = 0; i < 20; i++) {
		give(BF_MSG_SNAPSHOT_OVERLAY, 20 + i, 3 + i);
		WORLD_UNTIL(&w, world_notes(&w, "writerd.0 snapshot_taken") == 3 + i);
	}
	assert_int_equal(shm_generation(&w.segment.shm), 21);
	assert_int_equal(metric(SHM_M_SNAPSHOT_GENERATION), 21);
	/* The base was told once. */
	assert_int_equal(everybody_notes("map 100"), 3);
	/* A new base with an empty overlay. */
	give(BF_MSG_SNAPSHOT_BASE, 200, 50);
	give(BF_MSG_SNAPSHOT_OVERLAY, 1, 51);
	WORLD_UNTIL(&w, shm_generation(&w.segment.shm) == 22);
	WORLD_UNTIL(&w, everybody_notes("map 200") == 3);
	assert_int_equal(snapshots_bytes(&s), 201);
	world_run(&w, 20);
	assert_int_equal(fd_count(), fds);
}

static void test_who_starts_gets_what_is_in_force(void **state)
{
	(void)state;
	begin("obey");
	give(BF_MSG_SNAPSHOT_BASE, 100, 1);
	give(BF_MSG_SNAPSHOT_OVERLAY, 10, 2);
	WORLD_UNTIL(&w, shm_generation(&w.segment.shm) == 1);
	assert_int_equal(kill(crew_find(&w.crew, BF_ENDPOINT(BF_ROLE_PROXYD, 1))->pid, SIGKILL), 0);
	WORLD_UNTIL(&w, world_notes(&w, "proxyd.1 map 10") == 2);
	assert_int_equal(world_notes(&w, "proxyd.1 map 100"), 2);
	assert_int_equal(world_notes(&w, "proxyd.0 map 10"), 1);
	/* The writer comes back: it gives all it has, under a number that nobody has seen. */
	assert_int_equal(kill(writer()->pid, SIGKILL), 0);
	WORLD_UNTIL(&w, w.gone == 2 && world_all_ready(&w));
	give(BF_MSG_SNAPSHOT_BASE, 101, 1);
	give(BF_MSG_SNAPSHOT_OVERLAY, 11, 2);
	WORLD_UNTIL(&w, shm_generation(&w.segment.shm) == 2 && everybody_notes("map 101") == 3);
}

static void test_who_refuses_stops_the_flip(void **state)
{
	(void)state;
	begin("picky");
	give(BF_MSG_SNAPSHOT_BASE, 100, 1);
	give(BF_MSG_SNAPSHOT_OVERLAY, 10, 2);
	WORLD_UNTIL(&w, world_notes(&w, "writerd.0 snapshot_refused") == 1);
	assert_int_equal(shm_generation(&w.segment.shm), 0);
	assert_true(refused());
	assert_int_equal(s.next.base, -1);
	assert_int_equal(s.now.base, -1);
	/* Nothing is in force: an overlay has nothing to lie over. */
	give(BF_MSG_SNAPSHOT_OVERLAY, 10, 3);
	WORLD_UNTIL(&w, world_notes(&w, "writerd.0 snapshot_refused") == 2);
}

static void test_silent_worker_is_replaced(void **state)
{
	struct child *worker;
	int64_t began;

	(void)state;
	begin("obey");
	give(BF_MSG_SNAPSHOT_BASE, 100, 1);
	give(BF_MSG_SNAPSHOT_OVERLAY, 10, 2);
	WORLD_UNTIL(&w, shm_generation(&w.segment.shm) == 1);
	worker = crew_find(&w.crew, BF_ENDPOINT(BF_ROLE_PROXYD, 1));
	assert_int_equal(kill(worker->pid, SIGSTOP), 0);
	began = bf_mono_ms();
	give(BF_MSG_SNAPSHOT_OVERLAY, 11, 3);
	WORLD_UNTIL(&w, world_notes(&w, "writerd.0 snapshot_taken") == 3);
	assert_true(bf_mono_ms() - began >= FLIP_TIMEOUT_MS - 1);
	assert_int_equal(shm_generation(&w.segment.shm), 2);
	assert_int_equal(metric(SHM_M_SNAPSHOT_KILLS), 1);
	WORLD_UNTIL(&w, w.gone == 1 && world_all_ready(&w));
	WORLD_UNTIL(&w, world_notes(&w, "proxyd.1 map 11") == 1);
	/* The reader is not waited for. */
	assert_int_equal(kill(crew_find(&w.crew, BF_ENDPOINT(BF_ROLE_READER, 0))->pid, SIGSTOP), 0);
	began = bf_mono_ms();
	for (uint32_t i = 0; i < 5; i++) {
		give(BF_MSG_SNAPSHOT_OVERLAY, 12 + i, 4 + i);
		WORLD_UNTIL(&w, world_notes(&w, "writerd.0 snapshot_taken") == 4 + i);
	}
	assert_true(bf_mono_ms() - began < 4 * FLIP_TIMEOUT_MS);
	assert_int_equal(kill(crew_find(&w.crew, BF_ENDPOINT(BF_ROLE_READER, 0))->pid, SIGCONT), 0);
	/* It is told of the first of them, and then of the last. */
	WORLD_UNTIL(&w, world_notes(&w, "reader.0 map 16") == 1);
	assert_int_equal(world_notes(&w, "reader.0 map 12"), 1);
	assert_int_equal(world_notes(&w, "reader.0 map 14"), 0);
}

static void test_generations_go_on(void **state)
{
	(void)state;
	world_init(&w, 1);
	shm_set_generation(&w.segment.shm, 700);
	assert_int_equal(crew_init(&w.crew, &w.slices, 1), 0);
	snapshots_init(&s, &w.crew);
	assert_int_equal(s.flip.last, 700);
	assert_int_equal(s.flip.now, 0);
}

int main(void)
{
	fake_child_main();
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_everybody_takes, teardown),
	    cmocka_unit_test_teardown(test_who_starts_gets_what_is_in_force, teardown),
	    cmocka_unit_test_teardown(test_who_refuses_stops_the_flip, teardown),
	    cmocka_unit_test_teardown(test_silent_worker_is_replaced, teardown),
	    cmocka_unit_test_teardown(test_generations_go_on, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
