/* What the tests of the child runtime share: the child they start, and the supervisor's side of its
 * channel. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/proc/child.h"

#define SCRIPT_LAYOUT  7
#define CHILD_ENDPOINT BF_ENDPOINT(BF_ROLE_PROXYD, 2)
#define SUPERVISOR     BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0)
#define CTL            BF_ENDPOINT(BF_ROLE_CTL, 5)

struct script {
	pid_t pid;
	int channel, segment, doorbell, config;
	uint8_t buf[BF_FRAME_MAX];
};

struct change {
	const char *name, *value; /* of the environment; value NULL: removed */
};

/* The child's main, for a test program that finds BIFROST_ROLE in its environment. */
int be_child(int argc, char **argv);

/* The environment of a good contract, then the changes (ended by a NULL name, or NULL). */
void script_set_contract(const struct change *change);

/* Starts a child; config -1: a good one is made. */
void script_start_with(struct script *s, int config, const struct change *change);
/* With TEST_CHILD=mode. */
void script_start(struct script *s, const char *mode);
/* And until it is READY. */
void script_start_ready(struct script *s, const char *mode);
void script_finish(struct script *s);

void script_send_msg(struct script *s, uint16_t type, uint16_t source, uint32_t request,
		     uint8_t flags, const void *message);
void script_send_plain(struct script *s, uint16_t type);
void script_send_hello(struct script *s);

/* As bf_frame_recv_blocking. */
int script_receive(struct script *s, int limit_ms, struct bf_frame *f);
/* Asks as bifrostctl would; the answer lives in arena. */
void script_ask_status(struct script *s, struct bf_arena *arena, struct bf_msg_status *status);
/* The next frame is of this type and from the child. */
void script_expect(struct script *s, uint16_t type);
void script_expect_exit(struct script *s, int code);

/* Returns once stop() runs. */
void script_expect_stop(const struct script *s);
/* 's' stop() ran, 'o' it ran as an orphan, '-' it did not. */
char script_note_of_stop(const struct script *s);

/* Closes the channel, sees the child go by itself, and returns its wait status. */
int script_orphan(struct script *s);
