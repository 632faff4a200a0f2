/* The conversation with the supervisor over RUNTIME/control.sock. Functions that return an enum
 * ctl_exit have already said what went wrong. */
#pragma once

#include <stdint.h>

#include "common/ipc/deadlines.h"
#include "common/ipc/messages.h"
#include "ctl/ctl.h"

/* An answer that needs no work: the supervisor gives one for a process that is silent. */
#define CTL_QUICK_MS (BF_QUESTION_LIMIT_MS + BF_ANSWER_SLACK_MS)
/*
 * One that waits for processes to come and go: longer than the longest drain_timeout. A gateway
 * that hangs meanwhile is killed by its watchdog, which closes the connection.
 */
#define CTL_LONG_MS (INT64_C(25) * 3600 * 1000)

/* Connects and exchanges HELLO. An enum ctl_exit. */
int ctl_connect(struct ctl *ctl);

/* A request id of its own for each question. */
uint32_t ctl_new_request(struct ctl *ctl);

/* Sends one message. An enum ctl_exit. */
int ctl_send(struct ctl *ctl, uint16_t type, uint16_t target, uint32_t request, uint8_t flags,
	     const void *message);

/*
 * The next frame that may be sent to us, whatever request it answers. Its body is valid until the
 * next call. 0, or BF_E_TIMEOUT, BF_E_CLOSED or another code with err.
 */
int ctl_receive(struct ctl *ctl, int64_t timeout_ms, struct bf_frame *ret_frame,
		struct bf_err *err);

/* Decodes the body; its texts are copied and live as long as the program. An enum ctl_exit. */
int ctl_decode(struct ctl *ctl, const struct bf_frame *f, void *ret_message);

/* Says what a code of ctl_receive means. An enum ctl_exit. */
int ctl_receive_failed(struct ctl *ctl, int code, const struct bf_err *err);

/* Prints the text of an ERROR reply; CTL_REFUSED. */
int ctl_refused(struct ctl *ctl, const struct bf_frame *f);

/* Called for each part with content of a reply. Returns an enum ctl_exit; the first one that is not
 * OK ends the call. */
typedef int ctl_on_part(struct ctl *ctl, const struct bf_frame *f, void *user);

/*
 * Asks the supervisor and hands each part of type part_type to on_part, until the last one came. An
 * OK ends the answer too; ERROR is CTL_REFUSED. part_type BF_MSG_NONE: the answer is OK or ERROR
 * alone. An enum ctl_exit.
 */
int ctl_call(struct ctl *ctl, uint16_t type, const void *message, int64_t timeout_ms,
	     uint16_t part_type, ctl_on_part *on_part, void *user);
/* The same question to a process behind the supervisor. */
int ctl_call_to(struct ctl *ctl, uint16_t target, uint16_t type, const void *message,
		int64_t timeout_ms, uint16_t part_type, ctl_on_part *on_part, void *user);
