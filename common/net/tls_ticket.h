/*
 * Keys of session tickets, made from the server's private key and the time: all workers of all
 * nodes that have the same key honour each other's tickets, and nothing is kept or sent around.
 * Private to tls_server.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#define BF_TLS_TICKET_TURN_S 43200 /* a key encrypts for one turn and decrypts for two */

struct bf_tls_ticket_keys {
	uint8_t secret[32];
};

bool bf_tls_ticket_keys_make(struct bf_tls_ticket_keys *keys, EVP_PKEY *pkey);
/* keys must outlive ctx's connections. */
bool bf_tls_ticket_keys_use(struct bf_tls_ticket_keys *keys, SSL_CTX *ctx);
