/*
 * A whole worker in this process, without supervisor and sandbox: segment in a memfd, front, gate,
 * mock provider, on a loop that the test turns. Clients are ends of socket pairs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "proxyd/front/front.h"
#include "proxyd/provider/provider.h"
#include "proxyd/worker.h"
#include "shm/segment.h"
#include "shm/usage.h"

struct harness {
	struct ev_loop *loop;
	int seg_fd;
	struct shm_segment seg;
	uint32_t slot;
	struct bf_arena arena;
	struct bf_config config;
	struct worker w;
	struct provider_net net;
	struct front f;
	struct shm_usage_record refused[32]; /* the latest rows of refused requests */
	size_t refused_count;
};

/* Defaults, one provider `mock`; tweak (may be NULL) changes the configuration first. Asserts on
 * failure. */
void harness_open(struct harness *h, void (*tweak)(struct bf_config *config));
/* Also asserts that nothing is left: no connection, no request in flight, no byte charged. */
void harness_close(struct harness *h);

struct bf_conf_provider *harness_mock(struct bf_config *config);

/* A new client; returns its end, non-blocking. */
int harness_client(struct harness *h);
void harness_turns(struct harness *h, int n);
/* Sends everything, turning the loop when the socket is full. */
void harness_send(struct harness *h, int fd, const char *bytes, size_t len);
/*
 * Reads into out (terminated) until it ends with `until`, the peer closes, or 5 seconds passed.
 * until NULL: until the peer closes or nothing came for about 8 ms. Returns the length; *ret_closed
 * (may be NULL) tells whether the peer closed.
 */
size_t harness_read(struct harness *h, int fd, char *out, size_t size, const char *until,
		    bool *ret_closed);
/* Send, then read the one answer with a Content-Length (or to the close); asserts that it came. */
size_t harness_ask(struct harness *h, int fd, const char *request, char *out, size_t size);

/* Rows in the usage ring of requests that were admitted; takes all of them. */
size_t harness_rows(struct harness *h, struct shm_usage_record *out, size_t max);
/* The same of those that were refused. */
size_t harness_refused_rows(struct harness *h, struct shm_usage_record *out, size_t max);

/* A chat request over `body` (Host, Content-Length and body), terminated, in a static buffer. */
const char *harness_chat(const char *body);

/* A clock of the test's own; while on, time stands still until harness_tick. */
void harness_clock(bool on);
void harness_tick(int64_t ms);
