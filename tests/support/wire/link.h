/*
 * A socket that is plain or carries TLS, without blocking: what mockllm and loadgen read and write.
 * Of its own and on purpose without the gateway's TLS code: these programs test that one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ssl_ctx_st;
struct ssl_st;

struct link {
	int fd;
	struct ssl_st *ssl; /* NULL: plain */
	bool wants_write;   /* TLS: a read that waits for room to write */
};

/* A context for servers (certificate and key files) or clients (both NULL: nothing is verified);
 * NULL and a line on stderr. */
struct ssl_ctx_st *link_context(const char *cert, const char *key);
void link_context_free(struct ssl_ctx_st *ctx);

/* Takes fd over. ctx NULL: plain. 0 or -ENOMEM (fd is closed then). */
int link_open(struct link *l, int fd, struct ssl_ctx_st *ctx, bool server);
void link_close(struct link *l);
/* Closes so that the peer sees a reset. */
void link_reset(struct link *l);

/* Bytes, 0 at the end, -EAGAIN, or another negative code. */
ssize_t link_read(struct link *l, void *out, size_t size);
/* Bytes taken, -EAGAIN, or another negative code. One system call; over TLS at most 64 KiB. */
ssize_t link_write(struct link *l, const struct iovec *parts, int count);
