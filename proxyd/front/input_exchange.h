/* From a header section to the exchange that goes through the gate. */
#pragma once

#include "proxyd/front/conn.h"

/*
 * A fresh exchange with copies of everything in c->http.head: the bytes are gone after this read.
 * section: the whole header section, which head refers to. NULL: no memory.
 */
struct exchange *input_exchange(struct conn *c, struct bf_slice section);
