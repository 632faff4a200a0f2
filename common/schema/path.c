/* Text of the place where the decoder stands. Used for messages and for look-ups in unbuilt.c. */
#include <stdio.h>
#include <string.h>

#include "common/schema/decode.h"

struct text {
	char *out;
	size_t used;
	bool pattern;
};

static void add(struct text *t, const char *lead, struct bf_slice name)
{
	size_t room = BF_PATH_TEXT_MAX - t->used;
	int n = snprintf(t->out + t->used, room, "%s%.*s", t->used ? lead : "", BF_SLICE_FMT(name));

	if (n > 0)
		t->used += (size_t)n < room ? (size_t)n : room - 1;
}

static void add_step(struct text *t, const struct bf_path *step)
{
	char number[16];

	if (step->kind != BF_PATH_INDEX) {
		bool star = t->pattern && step->kind == BF_PATH_NAME;

		add(t, ".", star ? BF_SLICE_LIT("*") : step->name);
		return;
	}
	if (t->pattern)
		return;
	(void)snprintf(number, sizeof(number), "[%u]", step->index);
	add(t, "", bf_slice_from(number));
}

/* The deepest table nests less than this; anything deeper is shown from there on. */
#define STEPS_MAX 16

static const char *render(const struct bf_path *path, char *out, bool pattern)
{
	const struct bf_path *steps[STEPS_MAX];
	struct text t = {out, 0, pattern};
	size_t n = 0;

	out[0] = '\0';
	if (!path && !pattern)
		(void)snprintf(out, BF_PATH_TEXT_MAX, "the file");
	for (; path && n < STEPS_MAX; path = path->up)
		steps[n++] = path;
	while (n > 0)
		add_step(&t, steps[--n]);
	return out;
}

const char *bf_path_text(const struct bf_path *path, char out[BF_PATH_TEXT_MAX])
{
	return render(path, out, false);
}

const char *bf_path_pattern(const struct bf_path *path, char out[BF_PATH_TEXT_MAX])
{
	return render(path, out, true);
}
