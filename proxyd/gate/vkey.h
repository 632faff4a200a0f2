/* Which virtual key a request carries. */
#pragma once

#include "proxyd/exchange.h"

/*
 * The value of the key that a request carries, empty when there is none: x-bf-vk, which may be of
 * any form; else Authorization (Bearer), x-api-key, x-goog-api-key, api-key, in this order, where
 * it begins with "sk-bf-". A secret: never shown, never passed on.
 */
struct bf_slice vkey_given(const struct exchange *x);
