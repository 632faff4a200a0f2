/* Shared parts of the stress programs. Linked by each of them; keeps no state of its own. */
#include "torture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/err.h"

void torture_fail(const char *file, int line, const char *cond, const char *fmt, ...)
{
	va_list args;

	(void)fprintf(stderr, "FAIL: %s:%d: not so: %s: ", file, line, cond);
	va_start(args, fmt);
	(void)vfprintf(stderr, fmt, args);
	va_end(args);
	(void)fprintf(stderr, "\n");
	_exit(1);
}

int torture_segment(struct shm_segment *ret_seg)
{
	static const uint8_t boot[16] = "torture";
	struct bf_err err = {.code = 0};
	int fd = memfd_create("segment", MFD_CLOEXEC);
	int r = fd < 0 ? -1 : shm_segment_create(fd, boot, &err);

	if (r == 0)
		r = shm_segment_attach(fd, false, boot, ret_seg, &err);
	TORTURE_CHECK(r == 0, "%s", err.text);
	return fd;
}

void torture_record(uint64_t n, struct shm_usage_record *ret_record)
{
	memset(ret_record, 0, sizeof(*ret_record));
	memcpy(ret_record->id, &n, sizeof(n));
	ret_record->cost_nusd = (int64_t)(n * 7);
	ret_record->first_byte_us = (int64_t)(n ^ 0x5555);
	memset(ret_record->model, (int)('a' + n % 26), sizeof(ret_record->model));
	memset(ret_record->request_id, (int)(n % 251), sizeof(ret_record->request_id));
	memset(ret_record->reserved1, (int)(n % 251), sizeof(ret_record->reserved1));
}

void torture_rekey(uint64_t n, uint32_t k, struct shm_usage_record *ret_record)
{
	torture_record(n, ret_record);
	ret_record->attempts = k;
	memset(ret_record->key_name, (int)('A' + (n + k) % 26), sizeof(ret_record->key_name));
	memset(ret_record->key_id, (int)('A' + (n + 3 * k) % 26), sizeof(ret_record->key_id));
}

uint64_t torture_number(const struct shm_usage_record *r)
{
	struct shm_usage_record want;
	uint64_t n;

	memcpy(&n, r->id, sizeof(n));
	if (r->attempts > 0)
		torture_rekey(n, r->attempts, &want);
	else
		torture_record(n, &want);
	TORTURE_CHECK(r->cost_nusd == want.cost_nusd && r->first_byte_us == want.first_byte_us &&
			  memcmp(r->model, want.model, sizeof(want.model)) == 0 &&
			  memcmp(r->key_name, want.key_name, sizeof(want.key_name)) == 0 &&
			  memcmp(r->key_id, want.key_id, sizeof(want.key_id)) == 0 &&
			  memcmp(r->request_id, want.request_id, sizeof(want.request_id)) == 0 &&
			  /* A sweep tells nothing but what was known at the beginning. */
			  (r->flags & SHM_USAGE_CRASHED ||
			   memcmp(r->reserved1, want.reserved1, sizeof(want.reserved1)) == 0),
		      "record %llu is mixed up", (unsigned long long)n);
	return n;
}

size_t torture_body(uint64_t n, uint8_t *bytes)
{
	size_t len = n % 97 == 0 ? 0 : n * 2654435761u % TORTURE_BODY_MAX;

	memset(bytes, (int)(n % 253), len);
	if (len >= sizeof(n))
		memcpy(bytes, &n, sizeof(n));
	return len;
}

bool torture_body_is(uint64_t n, const uint8_t *bytes, size_t len)
{
	static _Thread_local uint8_t want[TORTURE_BODY_MAX];

	return torture_body(n, want) == len && memcmp(bytes, want, len) == 0;
}

void torture_points_of(const char *path, bool (*is_passed)(const char *name))
{
	FILE *f = fopen(path, "re");
	char line[300], name[48];

	TORTURE_CHECK(f, "cannot read %s", path);
	while (fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, "SHM_KILLPOINT(\"");

		if (at && sscanf(at, "SHM_KILLPOINT(\"%47[a-z_]", name) == 1)
			TORTURE_CHECK(is_passed(name), "%s is never passed", name);
	}
	(void)fclose(f);
}
