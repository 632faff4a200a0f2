/*
 * The world of the sandbox tests: folders, sockets and pipes made before the fence, and what runs
 * an attempt behind it.
 */
#include "tests/unit/common/proc/sandbox_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct sandbox_world world;

/* Of each attempt's own: a connection left by one would be the next one's surprise. */
static void take_fresh_sockets(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);

	world.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world.unix_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world.tcp_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(world.tcp_listener, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(world.tcp_listener, 16) < 0 ||
	    getsockname(world.tcp_listener, (struct sockaddr *)&sa, &len) < 0)
		_exit(UNFENCED);
	world.port = ntohs(sa.sin_port);
}

int behind_fence(const void *arg)
{
	const struct attempt *a = arg;
	const struct bf_sandbox sandbox = {.groups = a->groups, .tcp_connect = a->tcp_connect};
	struct bf_sandbox_report report;
	struct bf_err err = {0};
	int r;

	take_fresh_sockets();
	if (bf_sandbox_apply(&sandbox, world.state, NULL, &report, &err) != 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return UNFENCED;
	}
	r = a->act();
	if (r == 0)
		return 0;
	return r == EPERM || r == EACCES ? DENIED : OTHER;
}

int behind_fence_quietly(const void *arg)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		return UNFENCED;
	return behind_fence(arg);
}

int without_fence(const void *arg)
{
	const struct attempt *a = arg;

	take_fresh_sockets();
	return a->act() == 0 ? 0 : OTHER;
}

int file_in(const char *folder, const char *name, int flags)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

int connect_listener(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(world.port)};

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return because(connect(world.tcp, (const struct sockaddr *)&sa, sizeof(sa)));
}

int act_socket_inet(void)
{
	return because(socket(AF_INET, SOCK_STREAM, 0));
}

static void make_file(const char *folder, const char *name)
{
	int fd = file_in(folder, name, O_WRONLY | O_CREAT);

	if (fd >= 0)
		(void)close(fd);
}

int make_world(void **state)
{
	char link[160];

	(void)state;
	strcpy(world.folder, "/tmp/bf-sandbox-XXXXXX");
	if (mkdtemp(world.folder) == NULL)
		return -1;
	(void)snprintf(world.state, sizeof(world.state), "%s/state", world.folder);
	(void)snprintf(world.outside, sizeof(world.outside), "%s/outside", world.folder);
	(void)snprintf(world.readable, sizeof(world.readable), "%s/readable", world.folder);
	(void)snprintf(link, sizeof(link), "%s/link-out", world.state);
	if (mkdir(world.state, 0700) < 0 || mkdir(world.outside, 0700) < 0 ||
	    symlink("../outside/there", link) < 0)
		return -1;
	make_file(world.outside, "there");
	make_file(world.folder, "readable");
	if (pipe(world.pipe) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, world.pair) < 0)
		return -1;
	return 0;
}

int remove_world(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", world.folder);
	return system(command);
}
