/*
 * Header lines as nearly everybody sends them, read without a parser's states. Only for sections
 * that head_scan.h took as a whole: every line ends in CRLF, and the last one is empty. What is
 * unusual is left to llhttp, whose reading of these lines is the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxyd/exchange.h"

/* Behind the bytes that usual request targets are made of: letters, digits and -_./?=&%:+,~ */
const char *head_target_end(const char *p);

/* Behind the visible ASCII and the blanks from p on, up to end. */
const char *head_value_end(const char *p, const char *end);

/*
 * The line at p, in a section that ends at end: a name of letters, digits, '-' and '_', a colon,
 * and a value of visible bytes, with blanks before and between them only. Returns the next line;
 * NULL: it is unusual, or the empty one.
 */
const char *head_field_read(const char *p, const char *end, struct exchange_header *ret_field);

/* Says how the message is framed, or what becomes of its connection, beyond its length. */
bool head_field_is_framing(const struct exchange_header *field);

/* A length of up to 18 digits; false: it is unusual. */
bool head_field_length(struct bf_slice value, uint64_t *ret_length);
