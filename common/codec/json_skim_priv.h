/* Passes over a container that nobody reads. Private to common/codec. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What the skim stopped at. */
enum bf_json_skimmed {
	BF_JSON_SKIM_DONE,
	BF_JSON_SKIM_END,    /* the text ends within the container */
	BF_JSON_SKIM_STRING, /* a control byte in a string, no valid escape, or the text ends */
	BF_JSON_SKIM_BYTE,   /* a byte for strings only, or a bracket that does not fit */
	BF_JSON_SKIM_DEPTH,
};

#define BF_JSON_SKIM_LEVELS 64u

struct bf_json_skim {
	const char *end;  /* of the text */
	uint32_t levels;  /* of containers, with the first one; more than 64 count as 64 */
	bool lone_passes; /* half a surrogate pair is a valid escape */
	/* Set by the skim. */
	bool high;      /* bytes above 0x7f may stand in it */
	const char *at; /* the byte behind the container, or the one to blame */
};

/*
 * From the bracket at p to the end of its container. Of strings it is as strict as the reader, but
 * leaves UTF-8 to the caller. Of the rest it checks that brackets fit, and that nothing stands
 * there which some dialect of JSON takes for a quote or a comment: so whoever reads the text sees
 * the container end here, or refuses it.
 */
enum bf_json_skimmed bf_json_skim(struct bf_json_skim *s, const char *p);
