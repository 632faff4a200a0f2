/* Which entities a question is about: pure. */
#pragma once

#include "common/ipc/messages_entity.h"

/* Is what is searched for a piece of the id or of the name? */
bool look_is_called(const struct bf_msg_entity_query *q, struct bf_slice id, struct bf_slice name);

/* Must an entity be decoded to know whether it is asked for? */
bool look_has_filters(const struct bf_msg_entity_query *q);
/* object is what bf_entity_decode() made of an entity of this type. */
bool look_matches(const struct bf_msg_entity_query *q, uint32_t type, const void *object);
