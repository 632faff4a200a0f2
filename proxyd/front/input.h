/* From bytes of a connection to exchanges that enter the gate. */
#pragma once

#include <ev.h>

#include "proxyd/front/conn.h"

void on_conn_readable(struct ev_loop *loop, ev_io *w, int revents);

/* Goes on with TLS; then with reading. */
void input_handshake(struct conn *c);

/* Goes on with bytes that were kept, here or by TLS: at the end of a turn. */
void input_more(struct conn *c);

/* Starts or stops reading: called whenever the state or the kept bytes changed. */
void input_flow(struct conn *c);

/* Answers an error before the gate was entered and closes after it. */
void input_refuse(struct conn *c, int http_status, const char *type, const char *message);
