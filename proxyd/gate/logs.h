/* GET /api/logs, /api/logs/stats, /filterdata and /{id}: what the logs store holds, by way of the
 * reader process. The route table lets only clients of this machine in (gate/local.h). */
#pragma once

#include "proxyd/exchange.h"

void logs_list(struct exchange *x);
void logs_stats(struct exchange *x); /* of the rows that the same search would find */
void logs_show(struct exchange *x);
/* What rows hold of each of facets (bits of enum bf_logs_facet): the parameters were read. */
void logs_facets(struct exchange *x, uint64_t facets, uint64_t limit);
