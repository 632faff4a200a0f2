/*
 * 16-byte words moved by compare-and-swap: the hot words of the meters. Only through here, because
 * C11 16-byte atomics call libatomic, whose fallback is a lock table inside one process and so no
 * help between processes. Here: cmpxchg16b on x86-64
 * (-mcx16), CASP on arm64 (LSE), both through __sync builtins, which ThreadSanitizer follows. The
 * build has no libatomic to fall back on: a compiler that can not inline fails at the #error below
 * or at link.
 *
 * Reading is two 8-byte loads, hi first: a 16-byte atomic load is itself a locked write, which
 * dirties the line and faults on a read-only map. The pair may be torn; whoever decides on it
 * either swaps from it (the swap compares all 16 bytes) or looks at hi again, which carries a
 * sequence number and moves with every swap (shm_load128_whole).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#ifndef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_16
#error "compile with -mcx16: 16-byte words must not go to libatomic"
#endif
#elif defined(__aarch64__)
#ifndef __ARM_FEATURE_ATOMICS
#error "compile with -march=armv8.1-a or later: 16-byte words need CASP"
#endif
#else
#error "no 16-byte compare-and-swap is known for this machine"
#endif

__extension__ typedef unsigned __int128 shm_raw128;

struct shm_u128 {
	_Alignas(16) _Atomic uint64_t lo;
	_Atomic uint64_t hi; /* moves with every swap */
};
_Static_assert(sizeof(struct shm_u128) == 16 && _Alignof(struct shm_u128) == 16,
	       "one 16-byte word");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "8-byte halves without locks");

struct shm_pair {
	uint64_t lo, hi;
};

static inline shm_raw128 shm_pair_raw(struct shm_pair v)
{
	return (shm_raw128)v.hi << 64 | v.lo;
}

/* Any pair, perhaps of two moments: to be validated by a swap or by a second look at hi. */
static inline struct shm_pair shm_load128(const struct shm_u128 *word)
{
	struct shm_pair v;

	/* mo: acquire, pairs with shm_cas128(): what its writer stored before the swap is behind
	 * it; and before lo */
	v.hi = atomic_load_explicit(&word->hi, memory_order_acquire);
	/* mo: acquire, pairs with shm_cas128(): before a second look at hi */
	v.lo = atomic_load_explicit(&word->lo, memory_order_acquire);
	return v;
}

/* One moment's pair into *ret_v; false when hi moved meanwhile: try again a bounded number of
 * times. */
static inline bool shm_load128_whole(const struct shm_u128 *word, struct shm_pair *ret_v)
{
	*ret_v = shm_load128(word);
	/* mo: acquire, pairs with shm_cas128(): equal hi proves that no swap came between */
	return atomic_load_explicit(&word->hi, memory_order_acquire) == ret_v->hi;
}

/* Swaps *expected for desired; false leaves the word it found in *expected. Full barrier either
 * way. */
static inline bool shm_cas128(struct shm_u128 *word, struct shm_pair *expected,
			      struct shm_pair desired)
{
	shm_raw128 want = shm_pair_raw(*expected);
	/* mo: full barrier of __sync, pairs with shm_load128() and with every other swap of the
	 * word */
	shm_raw128 found = __sync_val_compare_and_swap((volatile shm_raw128 *)(void *)word, want,
						       shm_pair_raw(desired));

	expected->lo = (uint64_t)found;
	expected->hi = (uint64_t)(found >> 64);
	return found == want;
}
