/* Between conn.c (requests) and conn_out.c (answers). */
#pragma once

#include "tests/support/mockllm/conn.h"

void conn_free(struct conn *c);
void conn_timer(struct conn *c, double seconds);
/* Writes the ledger's line of the request under way. */
void conn_note(struct conn *c, const char *end);
/* Notes what was under way and frees c. */
void conn_client_gone(struct conn *c);
/* Renders and sends what is due; c may be gone afterwards. */
void conn_pump(struct conn *c);
