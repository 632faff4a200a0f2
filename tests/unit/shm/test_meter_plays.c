/*
 * Long random plays of everything that happens to limits, against a reference that knows nothing of
 * words, tags and places: admissions, extensions, settlements, maxima that change, limits that come
 * and go, and a wall clock that jumps ahead and back while workers look at it late.
 */
#include "fixture.h"

#include "shm/inflight.h"
#include "shm/meter.h"
#include "shm/wall.h"

#define LIMITS  6
#define ENTRIES 12
#define EPOCHS  (1u << 16)
#define MS      INT64_C(1000000)
#define START   INT64_C(1764000000)

static const struct {
	uint64_t identity;
	int64_t length_ms; /* 0: endless */
	int64_t most;
} limits[LIMITS] = {
    {3, 1000, 100},
    {UINT64_C(1) << 30 | 3, 60000, 300},
    {UINT64_C(2) << 30 | 3, 3600000, 900},
    {9, 86400000, 2000},
    {10, 0, 60},
    {UINT64_C(3) << 30 | 3, 5000, 150},
};

struct held {
	bool on;
	unsigned n;
	uint32_t i[LIMITS], epoch[LIMITS];
	int64_t amount[LIMITS];
};

/* The reference, and what a worker has looked up. */
struct play {
	struct fixture *f;
	struct shm_meter_writer w;
	uint64_t random;
	int64_t boot_ns, wall_ns;
	struct shm_wall seen; /* by workers: perhaps not the newest */
	struct {
		bool open, placed;
		int64_t max, value;
		int64_t missed;
		uint32_t epoch, charged, version, missed_epoch;
		struct shm_meter_want cached;
		uint32_t cached_version;
	} l[LIMITS];
	struct held e[ENTRIES];
	int64_t (*settled)[EPOCHS];
	unsigned ok, refused, stale, turns, missed;
};

static uint64_t below(struct play *p, uint64_t n)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (p->random >> 8) % n;
}

static uint32_t epoch_at(const struct play *p, const struct shm_wall *wall, uint32_t i)
{
	if (limits[i].length_ms == 0)
		return 0;
	int64_t ms = shm_wall_ms(wall, p->boot_ns, limits[i].length_ms);
	return (uint32_t)(ms / limits[i].length_ms) & 0xffffff;
}

static int64_t *settled_in(const struct play *p, uint32_t i, uint32_t epoch)
{
	return &p->settled[i][epoch % EPOCHS];
}

/* A window that was begun goes on, whoever comes with an older clock. */
static uint32_t reference_epoch(const struct play *p, uint32_t i, uint32_t now)
{
	return p->l[i].epoch > now ? p->l[i].epoch : now;
}

/* ---- what happens */

static void tick(struct play *p)
{
	static const int64_t jumps_ms[] = {1, 900, 5000, 200000, 4000000};
	int64_t passed = (int64_t)below(p, 1000) * MS;

	p->boot_ns += passed;
	p->wall_ns += passed;
	if (below(p, 20) == 0) {
		int64_t jump = (int64_t)below(p, (uint64_t)jumps_ms[below(p, 5)]) * MS;
		p->wall_ns += below(p, 2) ? jump : -jump;
	}
	(void)shm_wall_update(&p->f->seg, p->wall_ns, p->boot_ns);
	if (below(p, 3))
		p->seen = shm_wall_read(&p->f->seg);
}

/* What writerd does: the latest window that anything is known of, at least the one of now. */
static void load(struct play *p, uint32_t i, uint32_t m)
{
	struct shm_wall wall = shm_wall_read(&p->f->seg);
	uint32_t now = epoch_at(p, &wall, i), epoch = now;

	for (uint32_t k = 0; limits[i].length_ms && k <= 16; k++) {
		if (*settled_in(p, i, now + k) != 0)
			epoch = now + k;
	}
	p->l[i].epoch = epoch;
	p->l[i].value = limits[i].length_ms ? *settled_in(p, i, epoch) : 0;
	p->l[i].missed = 0;
	shm_meter_load(&p->f->seg, m, epoch, p->l[i].value);
}

static void open_limit(struct play *p, uint32_t i)
{
	uint32_t m;
	bool fresh;

	assert_int_equal(shm_meter_place(&p->f->seg, limits[i].identity, &m, &fresh), 0);
	assert_int_equal(fresh, !p->l[i].placed);
	if (fresh)
		load(p, i, m);
	if (!shm_meter_configured(&p->f->seg, m, p->l[i].max, false)) {
		(void)shm_meter_configure(&p->f->seg, m, p->l[i].max, false, false, 0);
		p->l[i].version++;
	}
	shm_meter_open(&p->f->seg, m, limits[i].identity, SHM_METER_TOKENS);
	p->l[i].open = p->l[i].placed = true;
}

static void change_plan(struct play *p)
{
	uint32_t i = (uint32_t)below(p, LIMITS), m = shm_meter_find(&p->f->seg, limits[i].identity);

	assert_int_equal(m != SHM_METER_NOWHERE, p->l[i].open);
	if (below(p, 2)) {
		p->l[i].max = limits[i].most - (int64_t)below(p, (uint64_t)limits[i].most / 2);
		open_limit(p, i);
	} else if (p->l[i].open) {
		shm_meter_retire(&p->f->seg, m);
		p->l[i].open = false;
		p->l[i].version++;
	} else if (below(p, 2)) {
		open_limit(p, i);
	}
}

static void collect(struct play *p)
{
	unsigned left = 0;

	for (uint32_t i = 0; i < LIMITS; i++) {
		bool named = false;
		for (int j = 0; j < ENTRIES; j++) {
			for (unsigned k = 0; p->e[j].on && k < p->e[j].n; k++)
				named |= p->e[j].i[k] == i;
		}
		if (p->l[i].placed && !p->l[i].open)
			p->l[i].placed = named;
		left += p->l[i].placed && !p->l[i].open;
	}
	assert_int_equal(shm_meter_collect(&p->f->seg), left);
}

/* What was looked up before may be old by now. */
static bool look_up(struct play *p, uint32_t i)
{
	struct shm_meter_want *want = &p->l[i].cached;

	if (p->l[i].cached_version && below(p, 3))
		return true;
	if (!p->l[i].open)
		return p->l[i].cached_version != 0;
	want->meter = shm_meter_resolve(&p->f->seg, limits[i].identity, &want->config);
	assert_int_not_equal(want->meter, SHM_METER_NOWHERE);
	p->l[i].cached_version = p->l[i].version;
	return true;
}

static int64_t missed_in(const struct play *p, uint32_t i, uint32_t epoch)
{
	return epoch == p->l[i].missed_epoch ? p->l[i].missed : 0;
}

/* As writerd says it: rows of others, or that what was settled is forgiven. */
static void tell_missed(struct play *p)
{
	uint32_t i = (uint32_t)below(p, LIMITS), epoch = p->l[i].epoch;
	uint32_t m = shm_meter_find(&p->f->seg, limits[i].identity);
	int64_t missed = (int64_t)below(p, 30);

	if (m == SHM_METER_NOWHERE)
		return;
	if (below(p, 2))
		missed = -*settled_in(p, i, epoch);
	shm_meter_set_missed(&p->f->seg, m, epoch, missed);
	p->l[i].missed_epoch = epoch;
	p->l[i].missed = missed;
	p->missed++;
}

static enum shm_meter_verdict reference_admit(const struct play *p,
					      const struct shm_meter_want *wants,
					      const uint32_t *which, unsigned n, unsigned *ret_no)
{
	for (unsigned k = 0; k < n; k++) {
		uint32_t i = which[k], epoch = reference_epoch(p, i, wants[k].epoch);
		int64_t value = epoch == p->l[i].epoch ? p->l[i].value : 0;

		*ret_no = k;
		if (p->l[i].cached_version != p->l[i].version)
			return SHM_METER_STALE;
		if (value + missed_in(p, i, epoch) + wants[k].amount > p->l[i].max)
			return SHM_METER_REFUSED;
	}
	*ret_no = n;
	return SHM_METER_OK;
}

static void reference_turn(struct play *p, uint32_t i, uint32_t now)
{
	uint32_t epoch = reference_epoch(p, i, now);

	if (epoch == p->l[i].epoch)
		return;
	p->l[i].epoch = epoch;
	p->l[i].value = 0;
	p->turns++;
}

/* All others are held, so it is this one again: as the next request finds it. */
static void begin(struct play *p, int entry)
{
	struct shm_usage_record r = fixture_record(1);

	assert_int_equal(shm_inflight_begin(&p->f->seg, p->f->p, &r), entry);
}

static void admit(struct play *p, int entry)
{
	struct shm_meter_want wants[LIMITS];
	struct held *e = &p->e[entry];
	enum shm_meter_verdict want, got;
	unsigned n = 0, no = 0, which = 0, looked = 0;

	for (uint32_t i = 0; i < LIMITS; i++) {
		if (below(p, 2) == 0 || !look_up(p, i))
			continue;
		p->l[i].cached.epoch = epoch_at(p, &p->seen, i);
		p->l[i].cached.amount = (int64_t)below(p, 40);
		e->i[n] = i;
		wants[n++] = p->l[i].cached;
	}
	want = reference_admit(p, wants, e->i, n, &no);
	assert_int_equal(shm_meter_look(&p->f->seg, wants, n, &looked, NULL), want);
	got = shm_meter_admit(&p->w, entry, wants, n, &which);
	assert_int_equal(got, want);
	if (want != SHM_METER_OK) {
		assert_int_equal(which, no);
		assert_int_equal(looked, no);
	}
	for (unsigned k = 0; k < no; k++)
		reference_turn(p, e->i[k], wants[k].epoch);
	p->ok += want == SHM_METER_OK;
	p->refused += want == SHM_METER_REFUSED;
	p->stale += want == SHM_METER_STALE;
	if (want != SHM_METER_OK) {
		shm_inflight_cancel(&p->f->seg, p->f->p, entry);
		begin(p, entry);
		return;
	}
	e->on = true;
	e->n = n;
	for (unsigned k = 0; k < n; k++) {
		uint32_t i = e->i[k];
		e->epoch[k] = p->l[i].epoch;
		e->amount[k] = wants[k].amount;
		p->l[i].value += wants[k].amount;
		assert_true(p->l[i].value + missed_in(p, i, p->l[i].epoch) <= p->l[i].max);
		/* The window that is charged never steps back. */
		assert_true(p->l[i].epoch >= p->l[i].charged);
		p->l[i].charged = p->l[i].epoch;
	}
}

static void extend(struct play *p, int entry)
{
	struct held *e = &p->e[entry];
	int64_t more[LIMITS];
	bool fits = true;
	unsigned which;

	for (unsigned k = 0; k < e->n; k++) {
		uint32_t i = e->i[k];
		more[k] = (int64_t)below(p, 20);
		if (fits && more[k] && e->epoch[k] == p->l[i].epoch)
			fits =
			    p->l[i].value + missed_in(p, i, e->epoch[k]) + more[k] <= p->l[i].max;
	}
	assert_int_equal(shm_meter_extend(&p->w, entry, more, NULL, &which),
			 fits ? SHM_METER_OK : SHM_METER_REFUSED);
	for (unsigned k = 0; fits && k < e->n; k++) {
		e->amount[k] += more[k];
		if (e->epoch[k] == p->l[e->i[k]].epoch)
			p->l[e->i[k]].value += more[k];
	}
}

static void settle(struct play *p, int entry)
{
	struct held *e = &p->e[entry];
	int64_t actual[LIMITS];

	for (unsigned k = 0; k < e->n; k++) {
		uint32_t i = e->i[k];
		actual[k] = limits[i].length_ms ? (int64_t)below(p, 45) : 0;
		*settled_in(p, i, e->epoch[k]) += actual[k];
		if (e->epoch[k] == p->l[i].epoch)
			p->l[i].value += actual[k] - e->amount[k];
	}
	shm_meter_closing(&p->w, entry, actual);
	shm_meter_close(&p->w, entry);
	e->on = false;
	shm_inflight_end(&p->f->seg, p->f->p, entry);
	begin(p, entry);
}

static void compare(struct play *p)
{
	for (uint32_t i = 0; i < LIMITS; i++) {
		uint32_t m = shm_meter_find(&p->f->seg, limits[i].identity);
		struct shm_meter_info info;

		assert_int_equal(m != SHM_METER_NOWHERE, p->l[i].open);
		if (!p->l[i].open)
			continue;
		assert_true(shm_meter_read(&p->f->seg, m, &info));
		assert_int_equal(info.value, p->l[i].value);
		assert_int_equal(info.epoch, p->l[i].epoch);
		assert_int_equal(info.limit, p->l[i].max);
	}
}

static void play(struct fixture *f, uint64_t seed, struct play *p)
{
	int64_t(*settled)[EPOCHS] = p->settled;

	memset(settled, 0, sizeof(*settled) * LIMITS);
	*p = (struct play){.f = f, .random = seed, .settled = settled, .boot_ns = MS};
	p->wall_ns = START * 1000 * MS;
	shm_wall_accept(&f->seg, p->wall_ns, p->boot_ns);
	p->seen = shm_wall_read(&f->seg);
	shm_meter_enter(&p->w, &f->seg, f->p);
	for (uint32_t i = 0; i < LIMITS; i++) {
		p->l[i].max = limits[i].most;
		open_limit(p, i);
	}
	for (int step = 0; step < 4000; step++) {
		int entry = (int)below(p, ENTRIES);
		uint64_t dice = below(p, 21);

		if (dice == 0)
			change_plan(p);
		else if (dice == 1)
			collect(p);
		else if (dice == 20)
			tell_missed(p);
		else if (dice < 5)
			tick(p);
		else if (!p->e[entry].on)
			admit(p, entry);
		else if (dice < 9)
			extend(p, entry);
		else
			settle(p, entry);
		compare(p);
	}
}

static void random_plays_agree_with_a_reference(void **state)
{
	static int64_t settled[LIMITS][EPOCHS];
	unsigned ok = 0, refused = 0, stale = 0, turns = 0, missed = 0;

	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct play p = {.settled = settled};
		void *f;

		assert_int_equal(fixture_setup(&f), 0);
		for (uint64_t i = 0; i < ENTRIES; i++) {
			struct shm_usage_record r = fixture_record(i);
			assert_int_equal(shm_inflight_begin(&((struct fixture *)f)->seg, 0, &r), i);
		}
		play(f, seed * UINT64_C(0x9e3779b97f4a7c15), &p);
		ok += p.ok;
		refused += p.refused;
		stale += p.stale;
		turns += p.turns;
		missed += p.missed;
		assert_int_equal(fixture_teardown(&f), 0);
	}
	(void)state;
	printf("admitted %u, refused %u, stale %u, windows turned %u\n", ok, refused, stale, turns);
	assert_true(ok > 1000 && refused > 1000 && stale > 1000 && turns > 1000 && missed > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_plays_agree_with_a_reference)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
