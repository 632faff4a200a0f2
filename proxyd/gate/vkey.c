/*
 * Which virtual key a request carries. Called once per request while governance is on. Must never
 * show a value.
 */
#include "proxyd/gate/vkey.h"

#define VKEY_PREFIX BF_SLICE_LIT("sk-bf-")

/* The token behind "Bearer", in whatever case; empty when that is not what it is. */
static struct bf_slice bearer(struct bf_slice value)
{
	const struct bf_slice scheme = BF_SLICE_LIT("bearer");
	size_t skip = scheme.len;

	if (!bf_slice_starts_nocase(value, scheme))
		return (struct bf_slice){NULL, 0};
	while (skip < value.len && (value.ptr[skip] == ' ' || value.ptr[skip] == '\t'))
		skip++;
	if (skip == scheme.len)
		return (struct bf_slice){NULL, 0};
	return (struct bf_slice){value.ptr + skip, value.len - skip};
}

/* Where a key may stand, best first; lengths tell nearly all other headers from these. */
static const struct {
	struct bf_slice name;
	bool any_form; /* no prefix needed */
	bool bearer;
} vkey_headers[] = {
    {BF_SLICE_INIT("x-bf-vk"), true, false},    {BF_SLICE_INIT("authorization"), false, true},
    {BF_SLICE_INIT("x-api-key"), false, false}, {BF_SLICE_INIT("x-goog-api-key"), false, false},
    {BF_SLICE_INIT("api-key"), false, false},
};
#define VKEY_HEADERS    BF_ARRAY_LEN(vkey_headers)
#define VKEY_NAME_SIZES (1u << 7 | 1u << 9 | 1u << 13 | 1u << 14)

static unsigned header_rank(struct bf_slice name)
{
	unsigned rank = 0;

	if (name.len > 14 || !(VKEY_NAME_SIZES >> name.len & 1))
		return VKEY_HEADERS;
	while (rank < VKEY_HEADERS && !bf_slice_eq_nocase(name, vkey_headers[rank].name))
		rank++;
	return rank;
}

struct bf_slice vkey_given(const struct exchange *x)
{
	struct bf_slice found = {NULL, 0};
	unsigned best = VKEY_HEADERS;

	for (uint32_t i = 0; i < x->header_count; i++) {
		struct bf_slice value = x->headers[i].value;
		unsigned rank = header_rank(x->headers[i].name);

		/* One that opened the gateway's door is no key. */
		if (rank >= best || (vkey_headers[rank].bearer && x->authorized))
			continue;
		if (vkey_headers[rank].bearer)
			value = bearer(value);
		if (value.len == 0 ||
		    (!vkey_headers[rank].any_form && !bf_slice_starts_nocase(value, VKEY_PREFIX)))
			continue;
		found = value;
		best = rank;
	}
	return found;
}
