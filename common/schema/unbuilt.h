/* Keys of Bifrost's configuration that this build does not have. Used only within common/schema and
 * its tests. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/schema/node.h"

enum bf_unbuilt_class {
	BF_UNBUILT_TUNING, /* a warning, and counted in health: nothing unsafe happens without it */
	BF_UNBUILT_SAFETY, /* refuses the start unless listed in supervisor.accept_unbuilt */
	BF_UNBUILT_CHOICE, /* a value, not a key, that is always refused: "dotted key=value" */
};

struct bf_unbuilt {
	const char
	    *key; /* dotted; "*" stands for a name the user chose; list indices are left out */
	enum bf_unbuilt_class class;
	/*
	 * A value that asks for what this build does anyway and so is no cause for alarm: "false",
	 * or "type=none" for a mapping with that member. null, {}, [] and a mapping with
	 * (is_)enabled: false never are.
	 */
	const char *neutral;
};

extern const struct bf_unbuilt bf_unbuilt_table[];
extern const size_t bf_unbuilt_count;

const struct bf_unbuilt *bf_unbuilt_find(struct bf_slice dotted);

/* Do rows stand below this key, though the key itself is none? */
bool bf_unbuilt_is_group(struct bf_slice dotted);

/* Does the file ask for something by this node? */
bool bf_unbuilt_asks(const struct bf_unbuilt *row, const struct bf_node *node);

/* The name directly below parent ("" for the top) in row's key; ptr NULL when row is not below it.
 */
struct bf_slice bf_unbuilt_child(const struct bf_unbuilt *row, struct bf_slice parent);
