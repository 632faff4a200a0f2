/*
 * Edit distance over names. Called for every unknown key and value. Cost is bounded: names above 64
 * bytes are never near.
 */
#include "common/schema/nearest.h"

#include <limits.h>

#include "common/base/macros.h"

#define NAME_MAX_BYTES 64

struct name {
	char text[NAME_MAX_BYTES];
	unsigned len;
};

/* Lower case without separators: what Helm's camelCase and our snake_case have in common. */
static bool normalise(struct name *out, struct bf_slice in)
{
	out->len = 0;
	if (in.len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < in.len; i++) {
		char c = in.ptr[i];

		if (c == '_' || c == '-')
			continue;
		out->text[out->len++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	return true;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = BF_MIN(a, b);

	return BF_MIN(least, c);
}

/* Optimal string alignment, three rows. */
static unsigned distance(const struct name *a, const struct name *b)
{
	unsigned rows[3][NAME_MAX_BYTES + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];

	for (unsigned j = 0; j <= b->len; j++) {
		before[j] = 0;
		last[j] = j;
	}
	for (unsigned i = 1; i <= a->len; i++) {
		now[0] = i;
		for (unsigned j = 1; j <= b->len; j++) {
			unsigned cost = a->text[i - 1] != b->text[j - 1];

			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && a->text[i - 1] == b->text[j - 2] &&
			    a->text[i - 2] == b->text[j - 1])
				now[j] = BF_MIN(now[j], before[j - 2] + 1);
		}
		unsigned *spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[b->len];
}

unsigned bf_name_distance(struct bf_slice a, struct bf_slice b)
{
	struct name x, y;

	if (!normalise(&x, a) || !normalise(&y, b))
		return UINT_MAX;
	return distance(&x, &y);
}

void bf_nearest_init(struct bf_nearest *n, struct bf_slice wanted)
{
	*n = (struct bf_nearest){.wanted = wanted, .best_distance = UINT_MAX};
}

void bf_nearest_offer(struct bf_nearest *n, struct bf_slice candidate)
{
	unsigned d = bf_name_distance(n->wanted, candidate);
	/* A third of the name may be wrong; more is guessing. */
	size_t shorter = BF_MIN(n->wanted.len, candidate.len);

	if (d >= n->best_distance || d > 4 || d > (shorter + 2) / 3)
		return;
	n->best = candidate;
	n->best_distance = d;
}
