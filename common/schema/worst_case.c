/*
 * Worst-case memory of a worker, printed by the supervisor at start. Must follow the bounds that
 * proxyd/README.md lists.
 */
#include "common/schema/config.h"

#define CONNECTION_BYTES 1024u /* an idle connection */
#define PIPELINED_BYTES \
	(80u << 10) /* bytes of the next requests, and what the header may run over */
#define CACHE_BYTES       (8u << 20)
#define BUFFERS_OF_BODIES 4u /* bodies and answers, each in a buffer of up to twice its size */

uint64_t bf_config_worker_worst_bytes(const struct bf_config *config)
{
	const struct bf_conf_server *s = &config->server;

	return BUFFERS_OF_BODIES * s->body_memory_bytes +
	       s->max_connections *
		   (CONNECTION_BYTES + PIPELINED_BYTES + s->read_buffer_size_bytes) +
	       CACHE_BYTES;
}
