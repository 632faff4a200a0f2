/* How this process competes for a core with those that serve requests. */
#pragma once

#include <stdbool.h>

/* Before the sandbox. What the system refuses is left as it is: it is about speed, not rightness.
 */
void priority_lower(void);

/* Lets a worker run that waits for this core; costs a system call (0.2 us) if none does. Nothing
 * while there is a hurry. */
void priority_yield(void);

/* Who is asked, at each yield, whether there is a hurry; NULL: nobody, there is none. */
void priority_ask(bool (*hurry)(void *ctx), void *ctx);
