/* Between load.c (the run), client.c (a connection) and ledger.c (lines). */
#pragma once

#include "tests/support/loadgen/load.h"

/* Starts to connect; CLOSED with a time to try again when that fails at once. */
void client_connect(struct client *c);
/* Sends request l->issued, which was meant for intended_ns. */
void client_ask(struct client *c, int64_t intended_ns);
void client_on_events(struct client *c, uint32_t events);
/* Ends the request under way. */
void client_end(struct client *c, enum load_end end);

/* c may be used for the next request. */
void load_free_client(struct load *l, struct client *c);

/* One line for the request of c; 0 or a negative code. */
void load_note(struct load *l, const struct client *c, enum load_end end);
void load_flush(struct load *l);
