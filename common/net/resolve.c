/*
 * c-ares on a libev loop, and a small cache in front of it. Called by whoever connects to a
 * configured host. Must never open a file once bf_resolver_new has returned, and never block.
 */
#include "common/net/resolve.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/net/hosts.h"

#define RESOLVE_NAME_MAX    253u
#define RESOLVE_SOCKETS_MAX 16u
#define RESOLVE_TIMEOUT_MS  2000
#define RESOLVE_TRIES       2

struct resolve_name {
	char host[RESOLVE_NAME_MAX + 1];
	struct bf_resolver *resolver;
	struct bf_addr addrs[BF_RESOLVE_ADDRS];
	size_t count;
	int64_t expires_ms; /* INT64_MAX: from the hosts file */
	bool asking;
	uint32_t users; /* 0: it may give way */
	struct bf_resolve_wait *waiting;
};

struct resolve_socket {
	ev_io io; /* io.fd -1: free */
	struct bf_resolver *resolver;
};

struct bf_resolver {
	ares_channel channel;
	struct ev_loop *loop;
	ev_timer timer;
	struct resolve_socket sockets[RESOLVE_SOCKETS_MAX];
	struct resolve_name *names[BF_RESOLVE_NAMES_MAX];
	size_t name_count;
	struct bf_hosts hosts;
};

static struct resolve_name *resolve_find(const struct bf_resolver *r, struct bf_slice host)
{
	for (size_t i = 0; i < r->name_count; i++) {
		struct resolve_name *name = r->names[i];
		if (strlen(name->host) == host.len &&
		    strncasecmp(name->host, host.ptr, host.len) == 0)
			return name;
	}
	return NULL;
}

/* ---- c-ares on the loop */

/* c-ares knows when it wants to be woken next. */
static void resolve_arm(struct bf_resolver *r)
{
	struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);

	ev_timer_stop(r->loop, &r->timer);
	if (!next)
		return;
	ev_timer_set(&r->timer, (double)next->tv_sec + (double)next->tv_usec / 1e6 + 0.001, 0.0);
	ev_timer_start(r->loop, &r->timer);
}

static void on_resolve_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct bf_resolver *r = timer->data;

	(void)loop;
	(void)revents;
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolve_arm(r);
}

static void on_resolve_socket(struct ev_loop *loop, ev_io *io, int revents)
{
	struct resolve_socket *s = io->data;
	int fd = io->fd;

	(void)loop;
	ares_process_fd(s->resolver->channel, revents & EV_READ ? fd : ARES_SOCKET_BAD,
			revents & EV_WRITE ? fd : ARES_SOCKET_BAD);
	resolve_arm(s->resolver);
}

static struct resolve_socket *resolve_socket_of(struct bf_resolver *r, int fd)
{
	for (size_t i = 0; i < RESOLVE_SOCKETS_MAX; i++) {
		if (r->sockets[i].io.fd == fd)
			return &r->sockets[i];
	}
	return NULL;
}

static void on_resolve_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct bf_resolver *r = data;
	struct resolve_socket *s = resolve_socket_of(r, fd);

	if (!r->loop)
		return;
	if (!s)
		s = resolve_socket_of(r, -1);
	if (!s)
		return; /* the question times out instead */
	ev_io_stop(r->loop, &s->io);
	if (!readable && !writable) {
		s->io.fd = -1;
		return;
	}
	ev_io_init(&s->io, on_resolve_socket, fd,
		   (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	s->io.data = s;
	ev_io_start(r->loop, &s->io);
}

/* ---- answers */

static void resolve_tell(struct resolve_name *name, int code, const char *reason)
{
	struct bf_resolve_wait *told = name->waiting;

	/* Whoever asks again from within its answer waits for the next one. */
	name->waiting = NULL;
	if (told)
		told->prev_next = &told;
	while (told) {
		struct bf_resolve_wait *wait = told;
		bf_resolve_cancel(wait);
		wait->on_answer(wait, code, reason);
	}
}

static void resolve_keep(struct resolve_name *name, const struct ares_addrinfo *info)
{
	int ttl = BF_RESOLVE_TTL_MAX_S;
	size_t count = 0;

	for (const struct ares_addrinfo_node *n = info->nodes; n && count < BF_RESOLVE_ADDRS;
	     n = n->ai_next) {
		struct bf_addr *addr = &name->addrs[count];
		if ((n->ai_family != AF_INET && n->ai_family != AF_INET6) ||
		    (size_t)n->ai_addrlen > sizeof(addr->ss))
			continue;
		memset(addr, 0, sizeof(*addr));
		memcpy(&addr->ss, n->ai_addr, (size_t)n->ai_addrlen);
		addr->len = (socklen_t)n->ai_addrlen;
		ttl = BF_MIN(ttl, n->ai_ttl);
		count++;
	}
	name->count = count;
	name->expires_ms = bf_mono_ms() + (int64_t)BF_MAX(ttl, BF_RESOLVE_TTL_MIN_S) * 1000;
}

static int resolve_code(int status)
{
	return status == ARES_ETIMEOUT ? BF_E_TIMEOUT : BF_E_UNKNOWN;
}

static void on_resolve_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolve_name *name = arg;

	(void)timeouts;
	name->asking = false;
	if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED)
		return;
	if (status == ARES_SUCCESS && info && info->nodes) {
		resolve_keep(name, info);
	} else if (name->count > 0) {
		/* An old answer is better than none: name servers fail more often than hosts move.
		 */
		name->expires_ms = bf_mono_ms() + BF_RESOLVE_TTL_MIN_S * 1000;
		status = ARES_SUCCESS;
	} else if (status == ARES_SUCCESS) {
		status = ARES_ENODATA;
	}
	if (info)
		ares_freeaddrinfo(info);
	resolve_tell(name, status == ARES_SUCCESS ? 0 : resolve_code(status),
		     ares_strerror(status));
}

/* ---- public */

static int resolve_open(struct bf_resolver *r, const char *servers, struct bf_err *err)
{
	char lookups[] = "b"; /* name servers only: files were read before */
	struct ares_options options = {
	    .flags = ARES_FLAG_NOALIASES,
	    .timeout = RESOLVE_TIMEOUT_MS,
	    .tries = RESOLVE_TRIES,
	    .lookups = lookups,
	    .sock_state_cb = on_resolve_state,
	    .sock_state_cb_data = r,
	};
	int status = ares_init_options(&r->channel, &options,
				       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
					   ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS) {
		r->channel = NULL;
		return bf_err_set(err, status == ARES_ENOMEM ? -ENOMEM : BF_E_STATE, "resolver: %s",
				  ares_strerror(status));
	}
	if (servers)
		status = ares_set_servers_ports_csv(r->channel, servers);
	return status == ARES_SUCCESS ? 0
				      : bf_err_set(err, BF_E_SYNTAX, "resolver: servers \"%s\": %s",
						   servers, ares_strerror(status));
}

int bf_resolver_new(const struct bf_resolver_options *options, struct bf_resolver **ret_resolver,
		    struct bf_err *err)
{
	static const struct bf_resolver_options none = {NULL, NULL};
	struct bf_resolver *r = calloc(1, sizeof(*r));

	if (!r)
		return bf_err_sys(err, -ENOMEM, "resolver");
	if (!options)
		options = &none;
	for (size_t i = 0; i < RESOLVE_SOCKETS_MAX; i++) {
		r->sockets[i].io.fd = -1;
		r->sockets[i].resolver = r;
	}
	ev_timer_init(&r->timer, on_resolve_timer, 0.0, 0.0);
	r->timer.data = r;
	int code = resolve_open(r, options->servers, err);
	if (code == 0)
		code = bf_hosts_read(options->hosts_path ? options->hosts_path : "/etc/hosts",
				     &r->hosts, err);
	if (code < 0) {
		bf_resolver_free(r);
		return code;
	}
	*ret_resolver = r;
	return 0;
}

/* An answer that is on its way still finds whom it is for. */
static bool resolve_make_room(struct bf_resolver *r)
{
	for (size_t i = 0; r->name_count == BF_RESOLVE_NAMES_MAX && i < r->name_count; i++) {
		struct resolve_name *name = r->names[i];

		if (name->users || name->asking || name->waiting)
			continue;
		free(name);
		r->names[i] = r->names[--r->name_count];
	}
	return r->name_count < BF_RESOLVE_NAMES_MAX;
}

void bf_resolver_drop(struct bf_resolver *r, struct bf_slice host)
{
	struct resolve_name *name = resolve_find(r, host);

	if (name && name->users)
		name->users--;
}

int bf_resolver_add(struct bf_resolver *r, struct bf_slice host)
{
	struct resolve_name *name = resolve_find(r, host);

	if (name) {
		name->users++;
		return 0;
	}
	if (host.len > RESOLVE_NAME_MAX)
		return BF_E_LIMIT;
	if (!resolve_make_room(r))
		return BF_E_FULL;
	name = calloc(1, sizeof(*name));
	if (!name)
		return -ENOMEM;
	name->users = 1;
	memcpy(name->host, host.ptr, host.len);
	name->resolver = r;
	name->count = bf_hosts_find(&r->hosts, host, name->addrs, BF_RESOLVE_ADDRS);
	name->expires_ms = name->count ? INT64_MAX : 0;
	r->names[r->name_count++] = name;
	return 0;
}

void bf_resolver_start(struct bf_resolver *r, struct ev_loop *loop)
{
	r->loop = loop;
}

void bf_resolver_free(struct bf_resolver *r)
{
	if (!r)
		return;
	if (r->channel)
		ares_destroy(r->channel);
	if (r->loop)
		ev_timer_stop(r->loop, &r->timer);
	for (size_t i = 0; i < r->name_count; i++)
		free(r->names[i]);
	bf_hosts_free(&r->hosts);
	free(r);
}

/* RFC 6761: localhost is this machine, whatever a name server says. */
static size_t resolve_localhost(uint16_t port, struct bf_addr *addrs)
{
	(void)bf_addr_from_ip(BF_SLICE_LIT("127.0.0.1"), port, &addrs[0]);
	(void)bf_addr_from_ip(BF_SLICE_LIT("::1"), port, &addrs[1]);
	return 2;
}

size_t bf_resolve_known(const struct bf_resolver *r, struct bf_slice host, uint16_t port,
			struct bf_addr ret_addrs[BF_RESOLVE_ADDRS])
{
	const struct resolve_name *name;

	if (bf_addr_from_ip(host, port, &ret_addrs[0]) == 0)
		return 1;
	if (host.len == 9 && strncasecmp(host.ptr, "localhost", 9) == 0)
		return resolve_localhost(port, ret_addrs);
	name = resolve_find(r, host);
	if (!name || name->expires_ms <= bf_mono_ms())
		return 0;
	for (size_t i = 0; i < name->count; i++) {
		ret_addrs[i] = name->addrs[i];
		bf_addr_set_port(&ret_addrs[i], port);
	}
	return name->count;
}

static void resolve_wait(struct resolve_name *name, struct bf_resolve_wait *wait)
{
	wait->next = name->waiting;
	wait->prev_next = &name->waiting;
	if (wait->next)
		wait->next->prev_next = &wait->next;
	name->waiting = wait;
}

void bf_resolve_ask(struct bf_resolver *r, struct bf_slice host, struct bf_resolve_wait *wait)
{
	const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
						  .ai_socktype = SOCK_STREAM};
	struct resolve_name *name = resolve_find(r, host);

	if (!name || !r->loop) {
		wait->on_answer(wait, BF_E_UNKNOWN, "nobody asked for this name to be known");
		return;
	}
	resolve_wait(name, wait);
	if (name->asking)
		return;
	name->asking = true;
	ares_getaddrinfo(r->channel, name->host, NULL, &hints, on_resolve_answer, name);
	resolve_arm(r);
}

void bf_resolve_cancel(struct bf_resolve_wait *wait)
{
	if (!wait->prev_next)
		return;
	*wait->prev_next = wait->next;
	if (wait->next)
		wait->next->prev_next = wait->prev_next;
	wait->next = NULL;
	wait->prev_next = NULL;
}
