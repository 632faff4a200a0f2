/* A worker with its door, what is in force there, and clients from here and from afar. */
#pragma once

#include "tests/unit/proxyd/asker.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/crypt/seal.h"
#include "common/net/addr.h"
#include "common/snapshot/builder.h"
#include "common/snapshot/holder.h"
#include "proxyd/api/api.h"
#include "proxyd/api/auth.h"

#define HOST   "Host: bifrost.example\r\n"
#define ADMIN  "Authorization: Basic YWRtaW46cGFzc3dvcmQx\r\n" /* admin:password1 */
#define WRONG  "Authorization: Basic YWRtaW46cGFzc3dvcmQy\r\n"
#define NOBODY ""

static struct asker a;
static struct bf_snapshot_holder holder;
static char answer[1 << 20];
static uint64_t generation;

static const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN] = {5};

static inline void add(struct bf_snapshot_builder *b, uint32_t type, const void *object,
		       uint64_t version, const char *value)
{
	struct bf_entity e;
	struct bf_buf body;

	bf_buf_init(&body, 1 << 16);
	assert_int_equal(bf_entity_encode(type, object, &body, &e), 0);
	e.version = version;
	if (value)
		bf_hmac(pepper, bf_slice_from(value), e.secret);
	assert_int_equal(bf_snapshot_builder_add(b, &e, NULL), 0);
	bf_buf_done(&body);
}

static inline struct bf_snapshot_builder *begin(bool is_overlay)
{
	struct bf_snapshot_builder *b;

	assert_int_equal(bf_snapshot_builder_open(&b, is_overlay, 1, pepper, NULL), 0);
	return b;
}

static inline void take(struct bf_snapshot_builder *b, uint64_t number)
{
	int fd = bf_snapshot_builder_finish(b, NULL);

	assert_true(fd >= 0);
	assert_int_equal(bf_snapshot_take(&holder, fd, number, NULL), 0);
	(void)close(fd);
	bf_snapshot_builder_close(b);
	if (number)
		shm_set_generation(&a.h.seg, number);
}

static inline void add_auth(struct bf_snapshot_builder *b, uint64_t version, const char *password,
			    bool is_enabled, bool not_on_inference)
{
	const struct bf_conf_auth_config auth = {.id = BF_SLICE_LIT(BF_AUTH_CONFIG_ID),
						 .is_enabled = is_enabled,
						 .admin_username = BF_SLICE_LIT("admin"),
						 .admin_password = bf_slice_from(password),
						 .disable_auth_on_inference = not_on_inference};

	add(b, BF_ENTITY_AUTH_CONFIG, &auth, version, NULL);
}

static inline void add_api_key(struct bf_snapshot_builder *b, const char *name, bool is_active,
			       int64_t expires_at_ms)
{
	const struct bf_conf_api_key key = {.id = bf_slice_from(name),
					    .name = bf_slice_from(name),
					    .is_active = is_active,
					    .expires_at_ms = expires_at_ms};

	add(b, BF_ENTITY_API_KEY, &key, 1, name);
}

/* In force from now on. */
static inline void with_auth(uint64_t version, const char *password, bool not_on_inference)
{
	struct bf_snapshot_builder *b = begin(true);

	add_auth(b, version, password, true, not_on_inference);
	take(b, ++generation);
}

static inline int setup(void **state)
{
	struct bf_snapshot_builder *b;

	(void)state;
	memset(&holder, 0, sizeof(holder));
	generation = 1;
	asker_open(&a);
	assert_int_equal(api_open(&a.h.w, NULL), 0);
	a.h.w.snapshots = &holder;
	b = begin(false);
	add_auth(b, 1, "password1", false, false);
	add_api_key(b, "ops", true, 0);
	add_api_key(b, "idle", false, 0);
	add_api_key(b, "old", true, bf_wall_ms() - 1);
	add_api_key(b, "young", true, bf_wall_ms() + 3600000);
	take(b, 0);
	take(begin(true), generation);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	bf_snapshot_release(&holder);
	api_close(&a.h.w);
	asker_close(&a);
	return 0;
}

/* ---- clients */

static inline int send_from(const char *peer, const char *request)
{
	struct bf_addr addr;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	assert_true(!peer || bf_addr_parse(bf_slice_from(peer), &addr, NULL) == 0);
	assert_int_equal(front_take(&a.h.f, pair[1], peer ? &addr : NULL), 0);
	harness_send(&a.h, pair[0], request, strlen(request));
	harness_turns(&a.h, 5);
	return pair[0];
}

static inline void finish(int fd, const char *status)
{
	char start[32];

	(void)harness_read(&a.h, fd, answer, sizeof(answer), NULL, NULL);
	(void)snprintf(start, sizeof(start), "HTTP/1.1 %s ", status);
	if (strncmp(answer, start, strlen(start)) != 0)
		fail_msg("not %s: %s", status, answer);
	(void)close(fd);
	harness_turns(&a.h, 8);
}

/* A request without a body from afar. */
static inline void asks(const char *line, const char *headers, const char *status)
{
	char request[2048];

	(void)snprintf(request, sizeof(request), "%s HTTP/1.1\r\n" HOST "%s\r\n", line, headers);
	finish(send_from("192.0.2.7:4000", request), status);
}

static inline void posts(const char *path, const char *headers, const char *body,
			 const char *status)
{
	char request[2048];

	(void)snprintf(request, sizeof(request),
		       "POST %s HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n%s", path, headers,
		       strlen(body), body);
	finish(send_from("192.0.2.7:4000", request), status);
}

static inline void says(const char *part)
{
	if (!strstr(answer, part))
		fail_msg("%s is not in %s", part, answer);
}

#define GET_VERSION "GET /api/version"

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
