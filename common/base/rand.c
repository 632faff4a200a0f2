/*
 * Random bytes and ids. Called at admission, by retry jitter and for secrets. Never hands out the
 * same bytes twice, not even to both sides of a fork: the buffer is a page that the kernel wipes in
 * the child. State is per thread.
 */
#include "common/base/rand.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "common/base/err.h"
#include "common/base/macros.h"
#include "common/base/num.h"

/* With the count of what is left, the page it lies on. */
#define POOL_BYTES (4096u - sizeof(size_t))

/* All zero (fresh, or wiped by fork) reads as empty. */
struct pool {
	size_t left; /* unused bytes, at the end */
	uint8_t bytes[POOL_BYTES];
};

static void from_kernel(uint8_t *out, size_t len)
{
	while (len) {
		ssize_t n = getrandom(out, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)fprintf(stderr, "rand: getrandom: %s\n", bf_err_text(-errno));
			abort();
		}
		out += n;
		len -= (size_t)n;
	}
}

/* NULL when the kernel cannot wipe a page at fork: then every request goes to the kernel. */
static struct pool *pool_map(void)
{
	void *p = mmap(NULL, sizeof(struct pool), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, sizeof(struct pool), MADV_WIPEONFORK) < 0 ||
	    madvise(p, sizeof(struct pool), MADV_DONTDUMP) < 0) {
		(void)munmap(p, sizeof(struct pool));
		return NULL;
	}
	return p;
}

static struct pool *pool_get(void)
{
	static _Thread_local struct pool *pool;
	static _Thread_local bool tried;

	if (!tried) {
		tried = true;
		pool = pool_map();
	}
	return pool;
}

void bf_rand_bytes(void *out, size_t len)
{
	struct pool *p = len <= POOL_BYTES / 4 ? pool_get() : NULL;

	if (!p) {
		from_kernel(out, len);
		return;
	}
	if (p->left < len) {
		from_kernel(p->bytes, POOL_BYTES);
		p->left = POOL_BYTES;
	}
	uint8_t *from = p->bytes + POOL_BYTES - p->left;
	memcpy(out, from, len);
	/* What was handed out is a secret of the caller now. */
	explicit_bzero(from, len);
	p->left -= len;
}

/* A clock that fell back by more than this is followed; by less, ids keep their order and wait for
 * it. */
#define UUID_HOLD_MS   10000
#define UUID_COUNT_MAX 0xfffu

/*
 * RFC 9562 section 6.2 method 1: the 12 bits of rand_a are a counter that starts at a random number
 * below 2048 in each millisecond; a counter that runs over borrows from the next millisecond.
 */
struct bf_uuid bf_uuid7(int64_t wall_ms)
{
	static _Thread_local int64_t last_ms = -1;
	static _Thread_local uint32_t counter;
	struct bf_uuid id;

	bf_rand_bytes(id.bytes, sizeof(id.bytes));
	int64_t now = wall_ms < 0 ? 0 : wall_ms;
	bool fresh = last_ms < 0 || now > last_ms || now < last_ms - UUID_HOLD_MS;
	if (!fresh && counter == UUID_COUNT_MAX) {
		fresh = true;
		now = last_ms + 1;
	}
	if (fresh) {
		last_ms = now;
		counter = ((uint32_t)id.bytes[6] << 8 | id.bytes[7]) & (UUID_COUNT_MAX >> 1);
	} else {
		counter++;
	}
	uint64_t ms = (uint64_t)last_ms;
	for (int i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	id.bytes[6] = (uint8_t)(0x70 | counter >> 8);
	id.bytes[7] = (uint8_t)counter;
	id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
	return id;
}

bool bf_uuid_is_set(const struct bf_uuid *id)
{
	static const struct bf_uuid none;

	return memcmp(id, &none, sizeof(none)) != 0;
}

void bf_uuid_format(const struct bf_uuid *id, char out[BF_UUID_TEXT_LEN + 1])
{
	char hex[32];

	(void)bf_format_hex(id->bytes, sizeof(id->bytes), hex);
	memcpy(out, hex, 8);
	memcpy(out + 9, hex + 8, 4);
	memcpy(out + 14, hex + 12, 4);
	memcpy(out + 19, hex + 16, 4);
	memcpy(out + 24, hex + 20, 12);
	out[8] = out[13] = out[18] = out[23] = '-';
	out[BF_UUID_TEXT_LEN] = '\0';
}

static bool dash_after(size_t byte)
{
	return byte == 3 || byte == 5 || byte == 7 || byte == 9;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int bf_uuid_parse(const char *text, size_t len, struct bf_uuid *ret_id)
{
	struct bf_uuid id;

	if (len != BF_UUID_TEXT_LEN)
		return BF_E_SYNTAX;
	for (size_t i = 0; i < sizeof(id.bytes); i++) {
		int high = hex_value(text[0]);
		int low = hex_value(text[1]);
		if (high < 0 || low < 0)
			return BF_E_SYNTAX;
		id.bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
		if (dash_after(i) && *text++ != '-')
			return BF_E_SYNTAX;
	}
	*ret_id = id;
	return 0;
}
