/* What a request's headers tell the gateway itself. */
#pragma once

#include "proxyd/gate/infer.h"

/*
 * client.required_headers; x-bf-api-key and x-bf-api-key-id into x->pin_key_name and pin_key_id;
 * x-bf-parent-request-id and x->request_id into x->record. 0, or -1 with e.
 */
int headers_read(struct exchange *x, struct infer_error *e);
