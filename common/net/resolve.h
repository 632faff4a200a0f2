/*
 * Names to addresses, on the event loop. Made before the sandbox, which is when resolv.conf and the
 * hosts file are read: a change of either is seen by the next process. Answers are kept for their
 * TTL, at least BF_RESOLVE_TTL_MIN_S and at most BF_RESOLVE_TTL_MAX_S; when asking again fails, the
 * old ones serve on. One question at a time for one name.
 */
#pragma once

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "common/net/addr.h"

#define BF_RESOLVE_ADDRS     8u   /* addresses kept of a name */
#define BF_RESOLVE_NAMES_MAX 256u /* names a resolver knows */
#define BF_RESOLVE_TTL_MIN_S 5
#define BF_RESOLVE_TTL_MAX_S 300

struct bf_resolver;

struct bf_resolver_options {
	const char *hosts_path; /* NULL: /etc/hosts */
	const char *servers;    /* "127.0.0.1:5353,..."; NULL: those of /etc/resolv.conf */
};

/* Somebody who waits for an answer; owned by the asker, zeroed before its first use. */
struct bf_resolve_wait {
	/* code 0: bf_resolve_known has it now; else reason says why not. */
	void (*on_answer)(struct bf_resolve_wait *wait, int code, const char *reason);
	struct bf_resolve_wait *next, **prev_next; /* prev_next NULL: not waiting */
};

/* options may be NULL. */
int bf_resolver_new(const struct bf_resolver_options *options, struct bf_resolver **ret_resolver,
		    struct bf_err *err);
/*
 * Makes host known and looks for it in the hosts file as it was at the start; at any time, once for
 * each who needs it. BF_E_FULL, BF_E_LIMIT (a name above 253 bytes), -ENOMEM.
 */
int bf_resolver_add(struct bf_resolver *r, struct bf_slice host);
/* One of those who added it needs it no more. A name that nobody needs gives way to others. */
void bf_resolver_drop(struct bf_resolver *r, struct bf_slice host);
/* From now on it may ask. */
void bf_resolver_start(struct bf_resolver *r, struct ev_loop *loop);
/* Nobody may wait any more. Accepts NULL. */
void bf_resolver_free(struct bf_resolver *r);

/*
 * What is known without asking: IP addresses, localhost, the hosts file, fresh answers. Fills
 * ret_addrs and returns how many; 0: ask.
 */
size_t bf_resolve_known(const struct bf_resolver *r, struct bf_slice host, uint16_t port,
			struct bf_addr ret_addrs[BF_RESOLVE_ADDRS]);
/* Asks for a name that was added; on_answer comes once, perhaps before this returns. */
void bf_resolve_ask(struct bf_resolver *r, struct bf_slice host, struct bf_resolve_wait *wait);
/* No answer will come. Accepts a wait that does not wait. */
void bf_resolve_cancel(struct bf_resolve_wait *wait);
