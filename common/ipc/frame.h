/*
 * One frame of the control channel: a 16-byte little-endian header and a msgpack body, together one
 * SOCK_SEQPACKET datagram, with at most one file descriptor.
 *
 *   0  version u8 = 1
 *   1  flags   u8
 *   2  type    u16   enum bf_msg_type
 *   4  source  u16   endpoint
 *   6  target  u16   endpoint
 *   8  request u32   id chosen by the asker; replies carry it; 0 for messages that want no reply
 *  12  length  u32   bytes of body, <= BF_FRAME_MAX_BODY
 *
 * Everything is checked before anything is used: a malformed frame is an error of that channel,
 * never of the process.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/slice.h"

#define BF_FRAME_VERSION     1
#define BF_FRAME_HEADER_SIZE 16
#define BF_FRAME_MAX_BODY    (64u * 1024 - BF_FRAME_HEADER_SIZE)
#define BF_FRAME_MAX         (64u * 1024)

enum bf_frame_flag {
	BF_FRAME_REPLY = 1 << 0,  /* answers request */
	BF_FRAME_MORE = 1 << 1,   /* further parts of the same reply follow */
	BF_FRAME_ERROR = 1 << 2,  /* body is an `error` message */
	BF_FRAME_CANCEL = 1 << 3, /* the asker wants no more parts of request */
	BF_FRAME_FD = 1 << 4,     /* exactly one file descriptor comes with it */
	BF_FRAME_FLAGS = (1 << 5) - 1,
};

enum bf_role {
	BF_ROLE_NONE,
	BF_ROLE_SUPERVISOR,
	BF_ROLE_PROXYD,
	BF_ROLE_CLUSTERD,
	BF_ROLE_DISCOVERYD,
	BF_ROLE_WRITERD,
	BF_ROLE_CTL,    /* bifrostctl; the index is given by the supervisor */
	BF_ROLE_READER, /* bifrost-writerd --role=reader */
	BF_ROLE_COUNT,
};

/* An endpoint is role and index: proxyd.3. */
#define BF_ENDPOINT(role, index) ((uint16_t)(((unsigned)(role) << 10) | ((unsigned)(index)&1023u)))
#define BF_ENDPOINT_ROLE(e)      ((enum bf_role)((e) >> 10))
#define BF_ENDPOINT_INDEX(e)     ((e)&1023u)

struct bf_frame {
	uint8_t flags;
	uint16_t type;
	uint16_t source, target;
	uint32_t request;
	struct bf_slice body;
	int fd; /* -1: none; owned by whoever holds the frame */
};

/* "supervisor", "proxyd", ...; "unknown" beyond the table. */
const char *bf_role_name(enum bf_role role);

/* "proxyd.3" or "writerd" (index 0 of a role with one instance is not written). Returns out. */
const char *bf_endpoint_format(uint16_t endpoint, char out[24]);

/* 0 or BF_E_UNKNOWN. Accepts what bf_endpoint_format writes; "proxyd" alone is refused: it could
 * mean several. */
int bf_endpoint_parse(struct bf_slice text, uint16_t *ret_endpoint);

void bf_frame_encode_header(const struct bf_frame *f, uint8_t out[BF_FRAME_HEADER_SIZE]);

/*
 * Splits one datagram. The body refers to bytes. 0; BF_E_VERSION; BF_E_SYNTAX (short, length
 * mismatch, undefined flag, unknown role, fd flag without fd or fd without flag); BF_E_LIMIT. fd is
 * -1 or the descriptor that came along, and stays the caller's on an error.
 */
int bf_frame_decode(struct bf_slice bytes, int fd, struct bf_frame *ret_frame, struct bf_err *err);
