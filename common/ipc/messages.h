/*
 * The message table: every control message is one row here (id, name, who may send it to whom,
 * description of its body). The codec, the permission matrix, the trace decoder, the protocol
 * document and the fuzz seeds walk these rows.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/ipc/frame.h"
#include "common/ipc/messages_entity.h"
#include "common/ipc/messages_logs.h"
#include "common/ipc/messages_prices.h"
#include "common/schema/field.h"

enum bf_msg_type {
	BF_MSG_NONE = 0,
	/* Life of a child. Messages from a child to the supervisor have no body: it decodes nothing
	 * a child wrote. */
	BF_MSG_HELLO = 1, /* supervisor -> child, first; ctl -> supervisor, first */
	BF_MSG_READY = 2, /* child -> supervisor */
	BF_MSG_DRAIN = 3, /* supervisor -> proxyd: finish what runs, take no new work, then DRAINED
			     and exit 0 */
	BF_MSG_DRAINED = 4, /* proxyd -> supervisor */
	BF_MSG_STOP = 5,    /* supervisor -> child: leave now, in order */
	/* Listener slots. */
	BF_MSG_ADOPT = 6,   /* supervisor -> proxyd: accept from this slot too */
	BF_MSG_RELEASE = 7, /* supervisor -> proxyd: its own worker lives again, stop */
	/* Deaths. */
	BF_MSG_PROC_DEAD = 8,  /* supervisor -> writerd: reaped; sweep this process slot */
	BF_MSG_PROC_SWEPT = 9, /* writerd -> supervisor: look at the slots again */
	/* Configuration. No child is replaced because a comment changed, so the hash of the file
	 * comes by message. */
	BF_MSG_CONFIG_APPLIED = 10, /* supervisor -> writerd: this file is in force */
	BF_MSG_DRAINING = 11,       /* proxyd -> supervisor, after DRAIN: nobody new is let in */
	BF_MSG_STARTING = 12,       /* child -> supervisor, before READY: it still loads */
	/* Introspection. */
	BF_MSG_STATUS_GET = 16,   /* ctl -> any */
	BF_MSG_STATUS = 17,       /* reply, one part per process */
	BF_MSG_CHILDREN_GET = 18, /* ctl -> supervisor */
	BF_MSG_CHILD = 19,        /* reply, one part per child */
	BF_MSG_RESTART = 20,      /* ctl -> supervisor */
	BF_MSG_RELOAD = 21,       /* ctl -> supervisor */
	BF_MSG_DIAG = 22,         /* reply to RELOAD, one part per line */
	BF_MSG_NODE_DRAIN = 23,   /* ctl -> supervisor */
	BF_MSG_TRACE = 24,        /* ctl -> supervisor: from now on TRACED parts until CANCEL */
	BF_MSG_TRACED = 25,       /* reply part: one frame that passed */
	BF_MSG_OK = 26,           /* reply without content */
	BF_MSG_ERROR = 27,        /* reply with BF_FRAME_ERROR */
	/* Questions of workers to the reader. */
	BF_MSG_LOGS_QUERY = 32,  /* proxyd -> reader: search the logs, or show one row */
	BF_MSG_LOGS_RESULT = 33, /* reply: the answer as JSON in a sealed memfd */
	/* Limits: what they are and how they stand. */
	BF_MSG_LIMITS_GET = 34,   /* ctl -> writerd */
	BF_MSG_LIMITS = 35,       /* reply: one page of them */
	BF_MSG_CLOCK_ACCEPT = 36, /* ctl -> supervisor: the wall clock is right */
	/* What is in force (common/snapshot). A base is kept until an overlay of it comes; that
	 * puts both in force, and is answered when they are it everywhere. */
	BF_MSG_SNAPSHOT_BASE = 37,    /* writerd -> supervisor */
	BF_MSG_SNAPSHOT_OVERLAY = 38, /* writerd -> supervisor */
	BF_MSG_SNAPSHOT_NEXT = 39,    /* supervisor -> proxyd, reader: map it */
	BF_MSG_SNAPSHOT_TAKEN = 40,   /* reply to these three */
	BF_MSG_SNAPSHOT_REFUSED = 41, /* reply: whoever refused it has logged why */
	/* Entities: messages_entity.h. */
	BF_MSG_ENTITY_CHANGE = 42, /* proxyd -> writerd */
	BF_MSG_ENTITY_QUERY = 43,  /* proxyd -> reader */
	BF_MSG_ENTITY_RESULT = 44, /* reply to both and to PRICE_SYNC: JSON in a sealed memfd */
	/* The price sheet that is fetched: messages_prices.h. */
	BF_MSG_PRICE_SYNC = 45,  /* proxyd -> reader: fetch it now */
	BF_MSG_PRICE_SHEET = 46, /* reader -> writerd: this is it; OK or ERROR */
	BF_MSG_PRICE_FRESH = 47, /* reader -> writerd: it has not changed; OK or ERROR */
	BF_MSG_TYPE_MAX = 48,
};

#define BF_STATUS_MAX_ITEMS 64u
#define BF_DIAG_MAX_BYTES   4096u
#define BF_ERROR_MAX_BYTES  512u
#define BF_LIMITS_PAGE      32u
#define BF_LIMITS_MAX_TEXT  128u
/* Longest piece of a frame that fits into one TRACED message, whose own fields need the rest. */
#define BF_TRACED_MAX_BYTES (BF_FRAME_MAX - 128u)

struct bf_msg_hello {
	uint64_t protocol; /* BF_FRAME_VERSION */
	struct bf_slice build_id;
	uint64_t layout_version; /* of the segment */
};

struct bf_msg_listen_slot {
	uint64_t slot;
};

struct bf_msg_proc {
	uint64_t proc_slot;
	uint64_t pid;
};

struct bf_msg_config_applied {
	struct bf_slice config_hash; /* hex SHA-256 of the file */
};

struct bf_msg_status_item {
	struct bf_slice name;
	struct bf_slice value;
};

struct bf_msg_status {
	struct bf_slice process; /* "proxyd.0" */
	uint64_t pid;
	int64_t uptime_ms;
	struct bf_array items; /* of struct bf_msg_status_item */
};

struct bf_msg_child {
	struct bf_slice name;  /* "proxyd.0" */
	struct bf_slice state; /* name of the child's state */
	uint64_t pid;          /* 0 when none lives */
	uint64_t proc_slot;
	int64_t uptime_ms;
	uint64_t restarts;
	int64_t heartbeat_age_ms;
	int64_t backoff_ms;        /* until the next start */
	struct bf_slice last_exit; /* "exit 0", "signal 9 (KILL)", "" */
	uint64_t queue_frames;     /* waiting on its control channel */
};

struct bf_msg_restart {
	struct bf_slice name;
};

struct bf_msg_diag {
	bool is_error;
	struct bf_slice text;
};

struct bf_msg_node_drain {
	bool on;
};

struct bf_msg_traced {
	int64_t wall_ns;
	struct bf_slice frame; /* header and body as they passed, cut to BF_TRACED_MAX_BYTES */
	bool has_fd;
};

struct bf_msg_error {
	int64_t code; /* of common/base/errors.def or -errno */
	struct bf_slice text;
};

/* All that is given must hold. */
struct bf_msg_limits_get {
	struct bf_slice virtual_key; /* limits of its requests alone; its id or name; "": any */
	struct bf_slice owner;       /* bf_owner_name(); "": any */
	struct bf_slice owner_id;    /* or name, of such an owner; "": any */
	uint64_t from;               /* where the page begins: 0, then what the last page said */
};

/* A limit and its meter. used + held is what the limiter counts. */
struct bf_msg_limit {
	struct bf_slice owner; /* bf_owner_name() */
	struct bf_slice owner_id, owner_name;
	/* What it counts: requests of this key, to this provider, for this model; "": of any. Those
	 * of a team or customer when it is the owner. */
	struct bf_slice virtual_key_id, virtual_key_name, provider, model;
	struct bf_slice limit_id; /* of the budget or rate limit */
	struct bf_slice quantity; /* bf_quantity_name() */
	struct bf_slice window;   /* as it was written; "": none */
	int64_t used;             /* settled: the sum of the rows of this window */
	int64_t held;             /* reserved, or not yet in a row */
	int64_t max;
	int64_t left;             /* max without used and held, at least 0 */
	int64_t extra;            /* of max, by an override */
	int64_t extra_end_ms;     /* when that ends; 0: when somebody ends it */
	int64_t start_ms, end_ms; /* of the window, UTC; 0: it has none */
	bool frozen;              /* its windows go on by an old time */
	bool placed;              /* false: no meter, so nothing is admitted */
};

struct bf_msg_limits {
	uint64_t next;          /* of the next page; 0: this is the last */
	int64_t clock_ahead_ms; /* how far the wall clock is ahead and not believed;
				   negative: behind and not followed yet */
	struct bf_array items;  /* of struct bf_msg_limit */
};

/* Any of these senders to any of these receivers. */
struct bf_msg_route {
	uint16_t senders;   /* bits 1 << enum bf_role */
	uint16_t receivers; /* bits 1 << enum bf_role */
};

#define BF_MSG_ROUTES 2

struct bf_msg_def {
	const char *name;                          /* NULL: no such message */
	const struct bf_table *body;               /* NULL: the body must be empty */
	struct bf_msg_route routes[BF_MSG_ROUTES]; /* permitted when one of them permits it */
	bool is_reply;                             /* only with BF_FRAME_REPLY */
	bool with_fd;                              /* carries one descriptor */
};

/* NULL for an unknown type. */
const struct bf_msg_def *bf_msg_def(uint16_t type);

/*
 * May this frame travel from its source to its target? 0, BF_E_UNKNOWN or BF_E_DENIED with err.
 * Uses the header only, the body's length included: a message without a body has none. A CANCEL
 * travels like the request it cancels, without body.
 */
int bf_msg_permitted(const struct bf_frame *f, struct bf_err *err);

struct bf_arena;
struct bf_buf;

/*
 * Appends the body of a message of this type: message is the struct above that belongs to it, or
 * NULL when it has none. 0, BF_E_UNKNOWN, BF_E_LIMIT when it does not fit a frame, or the errors of
 * bf_table_encode_mp.
 */
int bf_msg_encode(uint16_t type, const void *message, struct bf_buf *out);

/*
 * ret_message must have the size of the type's struct; it is not touched for a type without a body.
 * 0, BF_E_UNKNOWN, BF_E_SYNTAX for a body where none belongs, or the errors of bf_table_decode_mp.
 */
int bf_msg_decode(uint16_t type, struct bf_slice body, void *ret_message, struct bf_arena *arena,
		  struct bf_err *err);

/* The table as Markdown: docs/control-protocol.md is made from it. */
int bf_msg_describe(struct bf_buf *out);
