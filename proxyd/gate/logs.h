/* GET /api/logs, /api/logs/stats and /api/logs/{id}: what the logs store holds, by way of the
 * reader process. The route table lets only clients of this machine in (gate/local.h). */
#pragma once

#include "proxyd/exchange.h"

void logs_list(struct exchange *x);
void logs_stats(struct exchange *x); /* of the rows that the same search would find */
void logs_show(struct exchange *x);
