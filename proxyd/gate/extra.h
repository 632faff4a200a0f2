/* extra_fields: what was really called, told to clients of the unified routes. */
#pragma once

#include <stdbool.h>

#include "proxyd/exchange.h"

/* Does this exchange's answer carry extra_fields? */
bool extra_wanted(const struct exchange *x);

/*
 * Puts extra_fields before the last brace of the JSON object in x->answer, which is charged for
 * them; uses w->text. An answer that is no object stays as it is. 0; an error of bf_buf or
 * BF_E_FULL, with the answer as it was.
 */
int extra_append(struct exchange *x);

/*
 * Appends a stream's event to out, with extra_fields in its json, a slice of it. False: that is no
 * object within the event, or memory is out; out is as it was, send the event as it came.
 */
bool extra_event(struct exchange *x, struct bf_slice event, struct bf_slice json,
		 struct bf_buf *out);

/* Appends the member itself, `"extra_fields":{...}`. error_class: error_type, or NULL. 0 or an
 * error of bf_buf. */
int extra_member(const struct exchange *x, const char *error_class,
		 struct bf_buf *out) BF_MUST_CHECK;
