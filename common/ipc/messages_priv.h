/* The table itself: for common/ipc and its tests. */
#pragma once

#include "common/ipc/messages.h"

/* Indexed by enum bf_msg_type; a row without a name is no message. */
extern const struct bf_msg_def bf_msg_defs[BF_MSG_TYPE_MAX];
