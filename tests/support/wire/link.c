/*
 * Reading and writing a socket with or without TLS. Called by mockllm/conn.c and loadgen/conn.c;
 * must never block and never raise SIGPIPE.
 */
#include "tests/support/wire/link.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define TLS_WRITE_BYTES (64u << 10)

struct ssl_ctx_st *link_context(const char *cert, const char *key)
{
	SSL_CTX *ctx = SSL_CTX_new(cert ? TLS_server_method() : TLS_client_method());

	if (!ctx)
		return NULL;
	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	if (cert && (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
		     SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)) {
		fprintf(stderr, "%s, %s: not a certificate and its key in PEM\n", cert, key);
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

void link_context_free(struct ssl_ctx_st *ctx)
{
	SSL_CTX_free(ctx);
}

int link_open(struct link *l, int fd, struct ssl_ctx_st *ctx, bool server)
{
	*l = (struct link){.fd = fd};
	if (!ctx)
		return 0;
	l->ssl = SSL_new(ctx);
	if (!l->ssl || SSL_set_fd(l->ssl, fd) != 1) {
		link_close(l);
		return -ENOMEM;
	}
	if (server)
		SSL_set_accept_state(l->ssl);
	else
		SSL_set_connect_state(l->ssl);
	return 0;
}

void link_close(struct link *l)
{
	if (l->ssl)
		SSL_free(l->ssl);
	l->ssl = NULL;
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}

void link_reset(struct link *l)
{
	struct linger hard = {.l_onoff = 1};

	(void)setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	link_close(l);
}

static ssize_t tls_result(struct link *l, int r)
{
	switch (SSL_get_error(l->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		l->wants_write = false;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		l->wants_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return errno ? -errno : -ECONNRESET;
	default:
		/* An end without close_notify counts as cut: that is what it is. */
		ERR_clear_error();
		return -EPROTO;
	}
}

ssize_t link_read(struct link *l, void *out, size_t size)
{
	ssize_t n;

	if (l->ssl) {
		int r;

		errno = 0;
		r = SSL_read(l->ssl, out, (int)(size > INT_MAX ? INT_MAX : size));
		return r > 0 ? r : tls_result(l, r);
	}
	do
		n = recv(l->fd, out, size, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t tls_write(struct link *l, const struct iovec *parts, int count)
{
	char joined[TLS_WRITE_BYTES];
	size_t len = 0;
	ssize_t n;
	int r;

	for (int i = 0; i < count && len < sizeof(joined); i++) {
		size_t take = parts[i].iov_len;

		take = take < sizeof(joined) - len ? take : sizeof(joined) - len;
		memcpy(joined + len, parts[i].iov_base, take);
		len += take;
	}
	errno = 0;
	r = SSL_write(l->ssl, joined, (int)len);
	if (r > 0)
		return r;
	n = tls_result(l, r);
	return n ? n : -EPIPE;
}

ssize_t link_write(struct link *l, const struct iovec *parts, int count)
{
	struct msghdr msg = {.msg_iovlen = (size_t)count};
	ssize_t n;

	if (l->ssl)
		return tls_write(l, parts, count);
	/* sendmsg does not write through msg_iov; its type only lacks the const. */
	memcpy(&msg.msg_iov, &parts, sizeof(parts));
	do
		n = sendmsg(l->fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
