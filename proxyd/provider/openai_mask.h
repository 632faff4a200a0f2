/* Providers quote what they were sent, keys too, when they refuse it: nobody else is to read that.
 */
#pragma once

#include "common/base/buf.h"
#include "common/schema/config.h"

/* Puts asterisks in place of the key (NULL: none was sent) and of the values of extra_headers, as
 * they are or with JSON's escapes. The length stays. */
void openai_mask(struct bf_buf *answer, const struct bf_conf_provider *conf,
		 const struct bf_conf_provider_key *key);
