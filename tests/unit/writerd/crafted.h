/*
 * A segment as workers leave it, a database in a folder of its own, and questions to that database.
 * For the tests of writerd only.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/ipc/frame.h"
#include "shm/content.h"
#include "shm/inflight.h"
#include "shm/segment.h"
#include "shm/slot.h"
#include "shm/usage.h"
#include "writerd/store/store_sqlite.h"

struct crafted {
	int fd;
	struct shm_segment seg;
	char folder[64];
	char path[96];
};

static inline void crafted_init(struct crafted *c)
{
	static const uint8_t boot_id[16] = {1};
	struct bf_err err = {0};

	c->fd = memfd_create("segment", MFD_CLOEXEC);
	assert_true(c->fd >= 0);
	if (shm_segment_create(c->fd, boot_id, &err) < 0 ||
	    shm_segment_attach(c->fd, false, NULL, &c->seg, &err) < 0)
		fail_msg("%s", err.text);
	(void)snprintf(c->folder, sizeof(c->folder), "/tmp/bf-writerd-XXXXXX");
	assert_non_null(mkdtemp(c->folder));
	(void)snprintf(c->path, sizeof(c->path), "%s/logs.db", c->folder);
}

static inline void crafted_done(struct crafted *c)
{
	char command[96];

	shm_segment_detach(&c->seg);
	(void)close(c->fd);
	(void)snprintf(command, sizeof(command), "rm -r %s", c->folder);
	assert_int_equal(system(command), 0);
}

/* A living worker's slot. */
static inline uint32_t crafted_worker(struct crafted *c)
{
	int p = shm_slot_assign(&c->seg, BF_ROLE_PROXYD, 0);

	assert_true(p >= 0);
	shm_slot_set_pid(&c->seg, (uint32_t)p, 1);
	assert_int_equal(shm_slot_enter(&c->seg, (uint32_t)p, 1, 1, 1), 0);
	return (uint32_t)p;
}

static inline enum shm_slot_state crafted_state(const struct crafted *c, uint32_t p)
{
	struct shm_slot_info info;

	shm_slot_info(&c->seg, p, &info);
	return info.state;
}

/* Request n: its id is n, and it costs n. */
static inline struct shm_usage_record crafted_record(uint32_t n)
{
	struct shm_usage_record r = {
	    .started_wall_ns = INT64_C(1700000000000000000),
	    .latency_us = 1000,
	    .cost_nusd = n,
	    .prompt_tokens = 10,
	    .completion_tokens = 1,
	    .status = SHM_USAGE_SUCCESS,
	    .object_type = 1,
	    .http_status = 200,
	    .attempts = 1,
	    .provider = "mock",
	    .model = "m",
	};

	memcpy(r.id + 12, &n, sizeof(n));
	return r;
}

static inline void crafted_body(struct crafted *c, uint32_t p, uint32_t n,
				enum shm_content_kind kind, const char *text)
{
	struct shm_usage_record r = crafted_record(n);

	assert_int_equal(shm_content_push(&c->seg, p, r.id, kind, text, strlen(text)), 0);
}

static inline void crafted_push(struct crafted *c, uint32_t p, uint32_t n)
{
	struct shm_usage_record r = crafted_record(n);

	assert_int_equal(shm_usage_push(&c->seg, p, &r), 0);
}

static inline int crafted_begin(struct crafted *c, uint32_t p, uint32_t n)
{
	struct shm_usage_record r = crafted_record(n);
	int entry = shm_inflight_begin(&c->seg, p, &r);

	assert_true(entry >= 0);
	return entry;
}

static inline struct store *crafted_store(struct crafted *c)
{
	struct store *store = NULL;
	struct bf_err err = {0};

	if (store_sqlite_open(c->path, "", &store, &err) < 0)
		fail_msg("%s", err.text);
	return store;
}

/* The first column of the first row as a number; -1 when there is no row. */
static inline int64_t crafted_number(const struct crafted *c, const char *sql)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int64_t n = -1;

	assert_int_equal(sqlite3_open(c->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}
