/* What the reader and writerd answered, on its way to the client. */
#pragma once

#include "proxyd/ask.h"

/* An ask_done of questions and changes: status and JSON pass as they are. */
void api_answered(struct exchange *x, const struct ask_answer *answer);
/* What ask_entities() or ask_change() said when nothing was asked. */
void api_not_asked(struct exchange *x, int code);
