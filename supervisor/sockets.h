/* The listening sockets: one per worker slot and address, made once, inherited by every worker. */
#pragma once

#include <stdint.h>

#include "common/base/err.h"
#include "common/schema/field.h"

#define SOCKETS_MAX 1000u

struct sockets {
	uint32_t slots, addresses;
	int fds[SOCKETS_MAX]; /* slot s, address a: s * addresses + a */
};

/* Holds nothing; sockets_close may follow. */
void sockets_init(struct sockets *s);

/* listen: of struct bf_slice. On an error nothing stays open. */
int sockets_open(struct sockets *s, const struct bf_array *listen, uint32_t slots,
		 struct bf_err *err);
void sockets_close(struct sockets *s);
