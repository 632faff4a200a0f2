/* Percent-encoded text: queries and pieces of paths. */
#pragma once

#include "proxyd/exchange.h"

/*
 * The value of the first member of this name in x->query, decoded into the arena. 1: given, 0: not
 * (empty text), BF_E_SYNTAX: a broken escape or bytes that are no UTF-8 text, -ENOMEM.
 */
int query_value(struct exchange *x, const char *name, struct bf_slice *ret_value);

/* Decodes; the text itself when there is nothing to do. 0, BF_E_SYNTAX, -ENOMEM. NUL is refused. */
int percent_decode(struct bf_slice text, bool plus_is_space, struct bf_arena *arena,
		   struct bf_slice *ret_text);
