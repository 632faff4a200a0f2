/* From answers to bytes of a connection: one write per answer, one write per turn for a stream. */
#pragma once

#include <ev.h>

#include "proxyd/front/conn.h"

#define RESPOND_OUT_MAX (WORKER_ANSWER_MAX + (64u << 10)) /* unsent bytes of one connection */

/* What an exchange answers through. */
extern const struct exchange_out respond_out;

/* An error for a request that could not be read: no exchange exists. */
void respond_error(struct conn *c, int http_status, const char *type, const char *message);
/* "100 Continue". */
void respond_continue(struct conn *c);
/* Sends what waits; lets a held provider go on. */
void respond_flush(struct conn *c);
void on_conn_writable(struct ev_loop *loop, ev_io *w, int revents);
