/*
 * This test program as a child of the supervisor: what it does is written in its configuration
 * slice. Only for tests.
 */
#pragma once

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ipc/channel.h"
#include "common/ipc/messages.h"
#include "common/proc/contract.h"
#include "common/proc/fds.h"

static inline void fake_note(const char *text)
{
	char path[1200], line[128];
	const char *dir = getenv(BF_ENV_RUNTIME_DIR), *role = getenv(BF_ENV_ROLE),
		   *index = getenv(BF_ENV_INDEX);
	int n = snprintf(line, sizeof(line), "%s.%s %s\n", role, index, text);
	int fd;

	(void)snprintf(path, sizeof(path), "%s/notes", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0 && n > 0)
		(void)!write(fd, line, (size_t)n);
	if (fd >= 0)
		(void)close(fd);
}

static inline uint16_t fake_endpoint(void)
{
	enum bf_role role = BF_ROLE_SUPERVISOR;

	while (role < BF_ROLE_COUNT && strcmp(bf_role_name(role), getenv(BF_ENV_ROLE)) != 0)
		role++;
	return BF_ENDPOINT(role, atoi(getenv(BF_ENV_INDEX)));
}

static inline void fake_send(uint16_t type, uint16_t source, uint16_t target, uint32_t request,
			     uint8_t flags)
{
	struct bf_frame f = {.type = type,
			     .source = source,
			     .target = target,
			     .request = request,
			     .flags = flags,
			     .fd = -1};

	if (bf_frame_send_blocking(BF_FD_CHANNEL, &f, NULL) < 0)
		_exit(0);
}

static inline void fake_say(uint16_t type)
{
	fake_send(type, fake_endpoint(), BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0), 0, 0);
}

/* Answers to STATUS_GET; the body does not matter to whoever passes it on. */
static inline void fake_answer(const struct bf_frame *f, const char *how)
{
	uint16_t me = fake_endpoint();

	if (strcmp(how, "silent") == 0)
		return;
	if (strcmp(how, "parts") == 0) {
		fake_send(BF_MSG_OK, me, f->source, f->request, BF_FRAME_REPLY | BF_FRAME_MORE);
		fake_send(BF_MSG_OK, me, f->source, f->request, BF_FRAME_REPLY | BF_FRAME_MORE);
	}
	if (strcmp(how, "stray") == 0) {
		fake_send(BF_MSG_OK, me, f->source, f->request + 1000, BF_FRAME_REPLY);
		fake_send(BF_MSG_OK, me, f->source, f->request, BF_FRAME_REPLY);
	}
	if (strcmp(how, "liar") == 0)
		me = BF_ENDPOINT(BF_ROLE_WRITERD, 0);
	if (strcmp(how, "bossy") == 0)
		fake_send(BF_MSG_STOP, me, BF_ENDPOINT(BF_ROLE_WRITERD, 0), 0, 0);
	fake_send(BF_MSG_OK, me, f->source, f->request, BF_FRAME_REPLY);
}

/* What is mapped is noted by its size. */
static inline void fake_take(const struct bf_frame *f, const char *how)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "map %lld", (long long)lseek(f->fd, 0, SEEK_END));
	fake_note(text);
	(void)close(f->fd);
	if (f->request && strcmp(how, "lame") != 0)
		fake_send(strcmp(how, "picky") == 0 ? BF_MSG_SNAPSHOT_REFUSED
						    : BF_MSG_SNAPSHOT_TAKEN,
			  fake_endpoint(), f->source, f->request, BF_FRAME_REPLY);
}

static inline void fake_obey(const struct bf_frame *f, const char *how)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s", bf_msg_def(f->type)->name);
	fake_note(text);
	if (f->type == BF_MSG_HELLO && strcmp(how, "late") == 0)
		(void)usleep(2300000);
	if (f->type == BF_MSG_HELLO && strcmp(how, "mute") != 0)
		fake_say(BF_MSG_READY);
	if (f->type == BF_MSG_HELLO && strcmp(how, "twice") == 0)
		fake_say(BF_MSG_READY);
	if (f->type == BF_MSG_SNAPSHOT_NEXT)
		fake_take(f, how);
	if (f->type == BF_MSG_STATUS_GET)
		fake_answer(f, how);
	if (f->type == BF_MSG_DRAIN && strcmp(how, "open") == 0)
		return;
	if (f->type == BF_MSG_DRAIN)
		fake_say(strcmp(how, "drains") == 0 ? BF_MSG_DRAINING : BF_MSG_DRAINED);
	if (f->type == BF_MSG_DRAIN && strcmp(how, "drains") == 0)
		return;
	if ((f->type == BF_MSG_DRAIN || f->type == BF_MSG_STOP) && strcmp(how, "deaf") != 0)
		_exit(0);
}

/* Call first in main: does not return in a process that a crew has started. */
static inline void fake_child_main(void)
{
	static uint8_t buf[BF_FRAME_MAX];
	const char *how = "obey";
	size_t len;
	const void *bytes;
	struct bf_frame f;
	char text[32] = "";

	if (!getenv(BF_ENV_ROLE))
		return;
	if (bf_memfd_map(BF_FD_CONFIG, &bytes, &len, NULL) == 0 && len < sizeof(text)) {
		memcpy(text, bytes, len);
		how = text;
	}
	if (strcmp(how, "crash") == 0)
		_exit(3);
	while (bf_frame_recv_blocking(BF_FD_CHANNEL, buf, 60000, &f, NULL) == 0)
		fake_obey(&f, how);
	_exit(0);
}
