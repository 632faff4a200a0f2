/* SipHash-2-4: a keyed hash of short texts that tells nothing of them to who lacks the key. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t bf_siphash(const uint8_t key[16], const void *bytes, size_t len);
