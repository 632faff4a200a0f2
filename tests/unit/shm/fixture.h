/* A fresh segment in a memfd, for the unit tests of shm/. */
#pragma once

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "shm/layout.h"
#include "shm/segment.h"
#include "shm/slot.h"
#include "shm/usage.h"

struct fixture {
	int fd;
	struct shm_segment seg;
	uint32_t p; /* a LIVE slot */
};

static const uint8_t fixture_boot[16] = "boot-0123456789";

static inline int fixture_setup(void **state)
{
	static struct fixture f;
	struct bf_err err = {.code = 0};
	int p;

	f.fd = memfd_create("segment", MFD_CLOEXEC);
	assert_true(f.fd >= 0);
	assert_int_equal(shm_segment_create(f.fd, fixture_boot, &err), 0);
	assert_int_equal(shm_segment_attach(f.fd, false, fixture_boot, &f.seg, &err), 0);
	p = shm_slot_assign(&f.seg, 2, 0);
	assert_int_equal(p, 0);
	shm_slot_set_pid(&f.seg, 0, 100);
	assert_int_equal(shm_slot_enter(&f.seg, 0, 100, 1000, 2000), 0);
	f.p = 0;
	*state = &f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	shm_segment_detach(&f->seg);
	(void)close(f->fd);
	return 0;
}

#define FIXTURE_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

/* Memory the file really holds. */
static inline size_t fixture_touched(const struct fixture *f)
{
	struct stat st;

	assert_int_equal(fstat(f->fd, &st), 0);
	return (size_t)st.st_blocks * 512;
}

/* A record whose every field follows from n, so that a mixed-up one shows. */
static inline struct shm_usage_record fixture_record(uint64_t n)
{
	struct shm_usage_record r;

	memset(&r, 0, sizeof(r));
	memcpy(r.id, &n, sizeof(n));
	r.prompt_tokens = n;
	r.completion_tokens = n * 3;
	r.cost_nusd = (int64_t)n * 7;
	(void)snprintf(r.model, sizeof(r.model), "model-%llu", (unsigned long long)n);
	return r;
}

static inline uint64_t fixture_number(const struct shm_usage_record *r)
{
	struct shm_usage_record want = fixture_record(r->prompt_tokens);

	assert_memory_equal(r, &want, sizeof(want));
	return r->prompt_tokens;
}
