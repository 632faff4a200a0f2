/*
 * A fixed play of all roles in one process, killed at every kill point in turn (first, second,
 * third, some in the middle, last passing of it); then the successors do their work and the oracle
 * looks. Repeatable: no clock, no scheduler.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger.h"
#include "roles.h"
#include "shm/doorbell.h"
#include "shm/metrics.h"
#include "shm/slot.h"
#include "shm/wall.h"
#include "torture.h"

#define NAMES_MAX 100

struct point {
	char name[48];
	uint64_t passed;
};

static struct point *points; /* shared with the child of the counting run */
static bool counting;
static const char *kill_name;
static uint64_t kill_at, kill_seen;

static void count_point(const char *name)
{
	for (int i = 0; i < NAMES_MAX; i++) {
		if (points[i].passed == 0)
			(void)snprintf(points[i].name, sizeof(points[i].name), "%s", name);
		if (strcmp(points[i].name, name) == 0) {
			points[i].passed++;
			return;
		}
	}
	TORTURE_CHECK(false, "more than %d kill points", NAMES_MAX);
}

void shm_killpoint(const char *name)
{
	if (counting)
		count_point(name);
	if (kill_name && strcmp(name, kill_name) == 0 && ++kill_seen == kill_at)
		(void)raise(SIGKILL);
}

static void burst(struct worker *w, struct shm_segment *seg, struct ledger *l, int n)
{
	for (int i = 0; i < n; i++) {
		TORTURE_CHECK(worker_begin(w), "refused");
		worker_finish(w, w->held - 1, i % 2 == 0);
		if (i % 400 == 399)
			(void)writer_turn(seg, l,
					  50); /* slower than the worker: the overflow fills */
	}
}

static void play(struct shm_segment *seg, struct ledger *l)
{
	struct worker w = {.seg = seg, .ledger = l};
	int p = shm_slot_assign(seg, 1, 0), bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	TORTURE_CHECK(p >= 0, "no slot");
	w.p = (uint32_t)p;
	for (int64_t second = 0; second < 3; second++)
		(void)shm_wall_update(seg, second, second); /* its words stand for themselves */
	shm_slot_set_pid(seg, w.p, 7);
	TORTURE_CHECK(shm_slot_enter(seg, w.p, 7, 1, 1) == 0, "enter");
	for (unsigned i = 0; i < 70; i++) {
		TORTURE_CHECK(worker_begin(&w), "refused");
		if (i % 3 == 0)
			worker_progress(&w, i);
	}
	for (unsigned i = 0; i < 10; i++) {
		worker_progress(&w, i);
		worker_finish(&w, i * 2, i % 2 == 0);
	}
	shm_doorbell_sleeping(seg, true);
	shm_doorbell_ring(seg, bell);
	shm_doorbell_sleeping(seg, false);
	(void)writer_turn(seg, l, 7);
	burst(&w, seg, l, 6000);
	while (shm_usage_waiting(seg, w.p) > 0)
		(void)writer_turn(seg, l, 500);
	burst(&w, seg, l, 50);
	shm_slot_dead(seg, w.p);
	writer_finish_all(seg, l);
	(void)close(bell);
}

/* Plays with a fresh segment in a child, perhaps killed; then everyone's successor. Whether it was
 * killed. */
static bool one_run(const char *name, uint64_t at, struct ledger *l, struct ledger_sums *sums)
{
	struct shm_segment seg;
	int fd = torture_segment(&seg), status = 0;
	struct bf_err err = {.code = 0};
	int64_t counted;
	pid_t pid;

	ledger_clear(l);
	l->counted_before = l->counted_after = 0;
	pid = fork();
	TORTURE_CHECK(pid >= 0, "fork");
	if (pid == 0) {
		kill_name = name;
		kill_at = at;
		counting = name == NULL;
		play(&seg, l);
		_exit(0);
	}
	TORTURE_CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
	TORTURE_CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0,
		      "the play ended with %d at %s", status, name ? name : "-");
	TORTURE_CHECK(shm_segment_valid(&seg, &err) == 0, "%s, killed at %s", err.text,
		      name ? name : "-");
	shm_slot_all_dead(&seg);
	writer_finish_all(&seg, l);
	ledger_check(l, sums);
	counted = shm_metric_sum(&seg, SHM_M_HTTP_REQUESTS);
	TORTURE_CHECK(counted >= (int64_t)l->counted_after && counted <= (int64_t)l->counted_before,
		      "%lld counted, %llu to %llu were", (long long)counted,
		      (unsigned long long)l->counted_after, (unsigned long long)l->counted_before);
	TORTURE_CHECK(shm_segment_valid(&seg, &err) == 0, "%s", err.text);
	for (int i = 0; i < (int)SHM_PROC_SLOTS; i++)
		TORTURE_CHECK(shm_slot_assign(&seg, 1, 0) == i, "slot %d is not free", i);
	shm_segment_detach(&seg);
	(void)close(fd);
	return WIFSIGNALED(status);
}

static uint64_t runs, kills;

static void kill_here(const struct point *p, uint64_t at, struct ledger *l,
		      struct ledger_sums *sums)
{
	bool killed = one_run(p->name, at, l, sums);

	TORTURE_CHECK(killed, "%s was not passed %llu times", p->name, (unsigned long long)at);
	runs++;
	kills++;
}

/* Creation stands outside the play: a half-made file is named as such, or is whole. */
static void kill_creation(const char *name)
{
	static const uint8_t boot[16] = "torture";
	int fd = memfd_create("segment", MFD_CLOEXEC), status = 0;
	struct bf_err err = {.code = 0};
	struct shm_segment seg;
	pid_t pid = fork();

	if (pid == 0) {
		kill_name = name;
		kill_at = 1;
		(void)shm_segment_create(fd, boot, NULL);
		_exit(0);
	}
	TORTURE_CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "%s was not passed",
		      name);
	TORTURE_CHECK(shm_segment_attach(fd, false, boot, &seg, &err) == BF_E_CORRUPT &&
			  strstr(err.text, "never finished"),
		      "%s", err.text);
	(void)close(fd);
	kills++;
}

/* A kill point of the sources that the play never passes would be a hole in this test. */
static bool is_passed(const char *name)
{
	/* The segment is made before the first round. */
	if (strncmp(name, "segment_create", 14) == 0)
		return true;
	for (int i = 0; i < NAMES_MAX; i++)
		if (strcmp(points[i].name, name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct ledger *l = ledger_new();
	struct ledger_sums sums = {.begun = 0};
	uint64_t random = 1, extra = argc > 1 ? (uint64_t)atoi(argv[1]) : 1;
	int names = 0;

	points = mmap(NULL, sizeof(*points) * NAMES_MAX, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	TORTURE_CHECK(points != MAP_FAILED, "mmap");
	TORTURE_CHECK(!one_run(NULL, 0, l, &sums), "killed without a reason");
	kill_creation("segment_create_sized");
	kill_creation("segment_create_filled");
	for (; names < NAMES_MAX && points[names].passed > 0; names++) {
		const struct point *p = &points[names];

		if (strncmp(p->name, "segment_create", 14) == 0)
			continue;
		for (uint64_t at = 1; at <= 3 && at <= p->passed; at++)
			kill_here(p, at, l, &sums);
		if (p->passed > 3)
			kill_here(p, p->passed, l, &sums);
		for (uint64_t i = 0; i < extra && p->passed > 3; i++)
			kill_here(p, 1 + torture_below(&random, p->passed), l, &sums);
	}
	for (int i = 2; i < argc; i++)
		torture_points_of(argv[i], is_passed);
	printf("%d kill points, %llu kills; %llu requests begun, %llu finished; rows: %llu "
	       "finished, %llu crashed\n",
	       names, (unsigned long long)kills, (unsigned long long)sums.begun,
	       (unsigned long long)sums.finished, (unsigned long long)sums.rows_finished,
	       (unsigned long long)sums.rows_crashed);
	printf("1 passed, 0 failed\n");
	return 0;
}
