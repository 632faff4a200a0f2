/*
 * mockllm: an OpenAI-compatible server that writes down what it told whom. Started by tests and
 * benchmarks; one thread, no state but the ledger.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/num.h"
#include "tests/support/mockllm/conn.h"

#define BACKLOG      4096
#define ACCEPT_BURST 64

static const char usage_text[] =
    "mockllm --listen ADDRESS:PORT [--ledger FILE] [--tls CERT KEY] [--default 'key=value;...']\n"
    "\n"
    "Serves POST */chat/completions, */completions, */embeddings, */responses, plain and "
    "streamed, and GET */models.\n"
    "The model's name scripts the answer: NAME;key=value;...\n"
    "  status=N retry_after=S body=json|text|empty usage=right|none|wrong|late|string\n"
    "  cached=N written=N written_1hr=N searches=N cost_nusd=N tier=default|priority|flex|batch\n"
    "  heard=N spoken=N thought=N   (tokens of sound, and of thoughts)\n"
    "  n=WORDS words=PROMPT/COMPLETION size=BYTES echo=1 chunked=0|1\n"
    "  event_words=W event_bytes=B interval_ms=M latency_ms=M done=0\n"
    "    (streams: an event has W words, or one; is padded to B bytes; the next is M ms later)\n"
    "  cut=N rst=N halfclose=N stall_at=N trickle=BYTES per 10 ms   (N: bytes of the answer)\n"
    "  garbage=1 headers=endless\n"
    "  deny=KEY,... (401) limit=KEY,... (429) keys=KEY:STATUS,...   by bearer token\n"
    "  fail_first=N: the first N requests of a \"user\" get status (or 500), then 200\n"
    "Port 0 takes a free one; `listening on ADDRESS:PORT` on stdout says which.\n";

struct options {
	const char *listen, *ledger, *cert, *key, *script;
};

static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
	    {"listen", required_argument, NULL, 'l'}, {"ledger", required_argument, NULL, 'f'},
	    {"tls", required_argument, NULL, 't'},    {"default", required_argument, NULL, 'd'},
	    {"help", no_argument, NULL, 'h'},         {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'l':
			o->listen = optarg;
			break;
		case 'f':
			o->ledger = optarg;
			break;
		case 't':
			o->cert = optarg;
			o->key = optind < argc ? argv[optind++] : NULL;
			break;
		case 'd':
			o->script = optarg;
			break;
		default:
			return -1;
		}
	}
	return optind == argc && o->listen && (!o->cert || o->key) ? 0 : -1;
}

static int listen_on(const char *text)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	const char *colon = strrchr(text, ':');
	char host[64] = "", shown[INET_ADDRSTRLEN];
	int on = 1, fd;
	int64_t port;

	if (!colon || (size_t)(colon - text) >= sizeof(host) ||
	    bf_parse_i64(bf_slice_from(colon + 1), &port) != 0 || port < 0 || port > 65535)
		return -EINVAL;
	memcpy(host, text, (size_t)(colon - text));
	if (inet_pton(AF_INET, host, &at.sin_addr) != 1)
		return -EINVAL;
	at.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Accepted sockets inherit it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, BACKLOG) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	printf("listening on %s:%d\n", inet_ntop(AF_INET, &at.sin_addr, shown, sizeof(shown)),
	       ntohs(at.sin_port));
	(void)fflush(stdout);
	return fd;
}

static void on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	struct server *s = w->data;

	(void)loop;
	(void)events;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		s->accepted++;
		conn_open(s, fd);
	}
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)w;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void serve(struct server *s, int fd)
{
	ev_signal term, interrupt;
	ev_io accepting;

	ev_signal_init(&term, on_signal, SIGTERM);
	ev_signal_init(&interrupt, on_signal, SIGINT);
	ev_signal_start(s->loop, &term);
	ev_signal_start(s->loop, &interrupt);
	ev_io_init(&accepting, on_accept, fd, EV_READ);
	accepting.data = s;
	ev_io_start(s->loop, &accepting);
	ev_run(s->loop, 0);
	conn_close_all(s);
}

static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct server s = {.base = script_default};
	struct bf_err err = {0};
	int fd, r;

	if (read_options(argc, argv, &o) != 0) {
		fputs(usage_text, stderr);
		return 64;
	}
	/* What follows the first ';' counts, as in a model's name. */
	if (o.script) {
		char text[1024];

		(void)snprintf(text, sizeof(text), ";%s", o.script);
		if (script_parse(bf_slice_from(text), &script_default, &s.base, &err) != 0) {
			fprintf(stderr, "mockllm: --default: %s\n", err.text);
			return 64;
		}
		s.base.key_count = 0; /* they would refer to text */
	}
	raise_limits();
	s.tls = o.cert ? link_context(o.cert, o.key) : NULL;
	r = ledger_open(&s.ledger, o.ledger);
	fd = r < 0 ? r : listen_on(o.listen);
	s.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (fd < 0 || !s.loop || (o.cert && !s.tls)) {
		fprintf(stderr, "mockllm: cannot start: %s\n", bf_err_text(fd < 0 ? fd : -ENOMEM));
		return 1;
	}
	serve(&s, fd);
	fprintf(stderr, "mockllm: %llu requests on %llu connections\n",
		(unsigned long long)s.ledger.lines, (unsigned long long)s.accepted);
	(void)close(fd);
	ledger_close(&s.ledger);
	asked_done(&s.asked);
	link_context_free(s.tls);
	ev_loop_destroy(s.loop);
	return 0;
}
