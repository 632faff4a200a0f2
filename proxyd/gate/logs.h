/* GET /api/logs and GET /api/logs/{id}: what the logs store holds, by way of the reader process. */
#pragma once

#include "proxyd/exchange.h"

void logs_list(struct exchange *x);
void logs_show(struct exchange *x);
