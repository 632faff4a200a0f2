/* Compiler helpers used everywhere. Nothing here has behaviour of its own. */
#pragma once

#include <stddef.h>

#define BF_ARRAY_LEN(a)             (sizeof(a) / sizeof((a)[0]))
#define BF_CONTAINER_OF(p, type, m) ((type *)(void *)((char *)(p)-offsetof(type, m)))
#define BF_PRINTF(fmt, args)        __attribute__((format(printf, fmt, args)))
#define BF_MUST_CHECK               __attribute__((warn_unused_result))
#define BF_NORETURN                 __attribute__((noreturn))
#define BF_NOINLINE                 __attribute__((noinline)) /* keeps a rare path out of a short one */
#define BF_UNUSED                   __attribute__((unused))
#define BF_LIKELY(x)                __builtin_expect(!!(x), 1)
#define BF_UNLIKELY(x)              __builtin_expect(!!(x), 0)
#define BF_MIN(a, b)                ((a) < (b) ? (a) : (b))
#define BF_MAX(a, b)                ((a) > (b) ? (a) : (b))
