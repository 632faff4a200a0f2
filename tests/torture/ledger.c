/* The oracle of the kill programs. Words are atomic because processes share them; their order is
 * that of the program. */
#include "ledger.h"

#include <string.h>
#include <sys/mman.h>

#include "torture.h"

struct ledger *ledger_new(void)
{
	void *l = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	TORTURE_CHECK(l != MAP_FAILED, "mmap");
	return l;
}

void ledger_clear(struct ledger *l)
{
	memset(l->facts, 0,
	       sizeof(l->facts[0]) * (size_t)(l->next < LEDGER_FACTS ? l->next : LEDGER_FACTS));
	l->next = 0;
}

static void check_crashed(const struct ledger_fact *f, uint64_t n, const struct shm_usage_record *r)
{
	TORTURE_CHECK(r->flags & SHM_USAGE_ESTIMATED && r->status == SHM_USAGE_ERROR, "row %llu",
		      (unsigned long long)n);
	TORTURE_CHECK(r->completion_tokens >= f->tokens_confirmed &&
			  r->completion_tokens <= f->tokens_announced,
		      "row %llu says %llu tokens, seen were %u to %u", (unsigned long long)n,
		      (unsigned long long)r->completion_tokens, f->tokens_confirmed,
		      f->tokens_announced);
}

void ledger_insert(struct ledger *l, const struct shm_usage_record *r)
{
	uint64_t n = torture_number(r);
	bool crashed = r->flags & SHM_USAGE_CRASHED;
	uint8_t none = LEDGER_NO_ROW;
	struct ledger_fact *f;

	TORTURE_CHECK(n < LEDGER_FACTS, "row %llu of no request", (unsigned long long)n);
	f = &l->facts[n];
	TORTURE_CHECK(f->stage >= (crashed ? LEDGER_BEGINNING : LEDGER_FINISHING),
		      "row %llu at stage %u", (unsigned long long)n, f->stage);
	TORTURE_CHECK(crashed || !(r->flags & SHM_USAGE_HAS_CONTENT) || f->body_seen,
		      "record %llu came before its body", (unsigned long long)n);
	if (!atomic_compare_exchange_strong(&f->row, &none,
					    crashed ? LEDGER_ROW_CRASHED : LEDGER_ROW_FINISHED)) {
		TORTURE_CHECK(crashed || none == LEDGER_ROW_FINISHED,
			      "%llu was swept before the ring was empty", (unsigned long long)n);
		l->repeated_rows++;
		return;
	}
	if (crashed)
		check_crashed(f, n, r);
	else
		TORTURE_CHECK(r->completion_tokens == f->tokens_announced,
			      "row %llu is not what was finished", (unsigned long long)n);
}

void ledger_check(struct ledger *l, struct ledger_sums *add_to)
{
	uint64_t last = l->next < LEDGER_FACTS ? l->next : LEDGER_FACTS;

	for (uint64_t n = 0; n < last; n++) {
		const struct ledger_fact *f = &l->facts[n];
		unsigned long long number = n;

		if (f->stage >= LEDGER_BEGUN)
			TORTURE_CHECK(f->row != LEDGER_NO_ROW, "request %llu (stage %u) has no row",
				      number, f->stage);
		if (f->stage == LEDGER_FINISHED)
			TORTURE_CHECK(f->row == LEDGER_ROW_FINISHED,
				      "request %llu finished, its row says crashed", number);
		if (f->stage == LEDGER_FINISHED && f->body_pushed)
			TORTURE_CHECK(f->body_seen, "the body of %llu is lost", number);
		if (f->stage == LEDGER_NOTHING)
			TORTURE_CHECK(f->row == LEDGER_NO_ROW, "a row for %llu, which never was",
				      number);
		add_to->begun += f->stage >= LEDGER_BEGUN;
		add_to->finished += f->stage == LEDGER_FINISHED;
		add_to->rows_finished += f->row == LEDGER_ROW_FINISHED;
		add_to->rows_crashed += f->row == LEDGER_ROW_CRASHED;
		add_to->bodies += f->body_seen;
	}
}
