/* Random bytes and time-ordered ids. Buffer and counter are per thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BF_UUID_TEXT_LEN 36

struct bf_uuid {
	uint8_t bytes[16];
};

/* Fills from getrandom(2) through a small buffer that fork does not share. Aborts when the kernel
 * has none. */
void bf_rand_bytes(void *out, size_t len);

/*
 * UUIDv7 (RFC 9562 section 5.7) of wall_ms; ids made by one thread never step back within a
 * millisecond, nor when the clock does by up to 10 s; a larger step is followed.
 */
struct bf_uuid bf_uuid7(int64_t wall_ms);

/* Was one made? All zero: none. */
bool bf_uuid_is_set(const struct bf_uuid *id);

/* Writes 36 characters and a terminator. */
void bf_uuid_format(const struct bf_uuid *id, char out[BF_UUID_TEXT_LEN + 1]);

/* 0 or BF_E_SYNTAX. Accepts upper and lower case hex with dashes. */
int bf_uuid_parse(const char *text, size_t len, struct bf_uuid *ret_id);
