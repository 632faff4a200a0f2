/*
 * Which blobs are kept. Called by workers and by the reader, for every message of the supervisor
 * and for every look at what is in force. Must never unmap what a generation still needs: bases are
 * shared.
 */
#include "common/snapshot/holder.h"

#include <string.h>

#include "common/base/macros.h"

static bool is_needed(const struct bf_snapshot_holder *h, const struct bf_snapshot_blob *base)
{
	return base == h->coming || base == h->now.base || base == h->next.base;
}

static void drop_base(const struct bf_snapshot_holder *h, struct bf_snapshot_blob *base)
{
	if (base && !is_needed(h, base))
		bf_snapshot_unmap(base);
}

static void drop(struct bf_snapshot_holder *h, struct bf_snapshot_generation *g)
{
	struct bf_snapshot_generation old = *g;

	memset(g, 0, sizeof(*g));
	bf_snapshot_unmap(old.overlay);
	drop_base(h, old.base);
}

static void take_base(struct bf_snapshot_holder *h, struct bf_snapshot_blob *base)
{
	struct bf_snapshot_blob *old = h->coming;

	h->coming = base;
	drop_base(h, old);
}

static struct bf_snapshot_blob *base_of(const struct bf_snapshot_holder *h,
					const struct bf_snapshot_blob *overlay)
{
	struct bf_snapshot_blob *const held[] = {h->coming, h->next.base, h->now.base};

	for (size_t i = 0; i < BF_ARRAY_LEN(held); i++) {
		if (held[i] && bf_snapshot_base_id(held[i]) == bf_snapshot_base_id(overlay))
			return held[i];
	}
	return NULL;
}

static int take_overlay(struct bf_snapshot_holder *h, struct bf_snapshot_blob *overlay,
			uint64_t generation, struct bf_err *err)
{
	struct bf_snapshot_generation old = h->next;
	struct bf_snapshot_blob *base = base_of(h, overlay);

	if (!base)
		return bf_err_set(err, BF_E_STATE,
				  "snapshot: generation %llu lies over a base that is not held",
				  (unsigned long long)generation);
	h->next = (struct bf_snapshot_generation){generation, base, overlay};
	if (base == h->coming)
		h->coming = NULL;
	bf_snapshot_unmap(old.overlay);
	drop_base(h, old.base);
	return 0;
}

int bf_snapshot_take(struct bf_snapshot_holder *h, int fd, uint64_t generation, struct bf_err *err)
{
	struct bf_snapshot_blob *blob;
	int r = bf_snapshot_map(fd, &blob, err);

	if (r < 0)
		return r;
	if (bf_snapshot_is_overlay(blob) != (generation > 0))
		r = bf_err_set(err, BF_E_STATE, "snapshot: %s came where %s belongs",
			       generation ? "a base" : "an overlay",
			       generation ? "an overlay" : "a base");
	else if (generation)
		r = take_overlay(h, blob, generation, err);
	else
		take_base(h, blob);
	if (r < 0)
		bf_snapshot_unmap(blob);
	return r;
}

const struct bf_snapshot *bf_snapshot_now(struct bf_snapshot_holder *h, uint64_t generation)
{
	/* One that was refused elsewhere never is, although later ones are. */
	if (h->next.number && generation == h->next.number) {
		struct bf_snapshot_generation old = h->now;

		h->now = h->next;
		memset(&h->next, 0, sizeof(h->next));
		h->view = (struct bf_snapshot){h->now.base, h->now.overlay};
		bf_snapshot_unmap(old.overlay);
		drop_base(h, old.base);
	}
	return h->now.number && h->now.number == generation ? &h->view : NULL;
}

const struct bf_snapshot *bf_snapshot_held(struct bf_snapshot_holder *h, uint64_t generation)
{
	const struct bf_snapshot *s = bf_snapshot_now(h, generation);

	return s || !h->now.number ? s : &h->view;
}

bool bf_snapshot_is_behind(struct bf_snapshot_holder *h, uint64_t generation)
{
	return !bf_snapshot_now(h, generation) && (h->coming || h->next.number || h->now.number);
}

void bf_snapshot_release(struct bf_snapshot_holder *h)
{
	drop(h, &h->next);
	drop(h, &h->now);
	take_base(h, NULL);
}
