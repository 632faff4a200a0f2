/* See harness.h. Called by the tests of proxyd. Must never wait without a bound. */
#include "tests/unit/proxyd/harness.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/ipc/frame.h"
#include "shm/inflight.h"
#include "shm/metrics.h"
#include "shm/series.h"
#include "shm/slot.h"
#include "tests/support/by_hand.h"

#define HARNESS_WAIT_MS 5000

static int64_t harness_mono_ns, harness_wall_ns;

static int64_t fake_mono(void *ctx)
{
	(void)ctx;
	return harness_mono_ns;
}

static int64_t fake_wall(void *ctx)
{
	(void)ctx;
	return harness_wall_ns;
}

void harness_clock(bool on)
{
	static const struct bf_clock_source source = {fake_mono, fake_wall, NULL};

	harness_mono_ns = bf_mono_ns();
	harness_wall_ns = bf_wall_ns();
	bf_clock_set_source(on ? &source : NULL);
}

void harness_tick(int64_t ms)
{
	harness_mono_ns += ms * 1000000;
	harness_wall_ns += ms * 1000000;
}

static int64_t real_ms(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct bf_conf_provider *harness_mock(struct bf_config *config)
{
	return config->providers.items;
}

static void harness_segment(struct harness *h)
{
	static const uint8_t boot[16] = {1};
	struct bf_err err = {0};

	h->seg_fd = memfd_create("test-segment", MFD_CLOEXEC);
	assert_true(h->seg_fd >= 0);
	if (shm_segment_create(h->seg_fd, boot, &err) < 0 ||
	    shm_segment_attach(h->seg_fd, false, boot, &h->seg, &err) < 0)
		fail_msg("%s", err.text);
	int slot = shm_slot_assign(&h->seg, BF_ROLE_PROXYD, 0);
	assert_true(slot >= 0);
	h->slot = (uint32_t)slot;
	shm_slot_set_pid(&h->seg, h->slot, (uint32_t)getpid());
	assert_int_equal(
	    shm_slot_enter(&h->seg, h->slot, (uint32_t)getpid(), bf_wall_ns(), bf_mono_ns()), 0);
	shm_slot_beat(&h->seg, h->slot, bf_mono_ns());
}

static void harness_config(struct harness *h, void (*tweak)(struct bf_config *config))
{
	bf_arena_init(&h->arena, 1 << 20);
	assert_int_equal(bf_table_defaults(&bf_config_table, &h->config, &h->arena), 0);
	struct bf_conf_provider *mock = bf_arena_alloc(&h->arena, sizeof(*mock));
	assert_non_null(mock);
	mock->name = BF_SLICE_LIT("mock");
	h->config.providers = (struct bf_array){mock, 1};
	if (tweak)
		tweak(&h->config);
}

void harness_open(struct harness *h, void (*tweak)(struct bf_config *config))
{
	struct bf_err err = {0};

	memset(h, 0, sizeof(*h));
	harness_segment(h);
	harness_config(h, tweak);
	h->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	assert_non_null(h->loop);
	worker_init(&h->w, h->loop, &h->seg, h->slot, &h->config);
	h->w.version = "1.2.3";
	by_hand_open(&h->w, &h->net);
	if (front_init(&h->f, &h->w, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(listener_init(&h->f.listener, &h->f, 0, 1, 0, &err), 0);
}

static int64_t by_series(const struct harness *h, enum shm_series_number number)
{
	int64_t sum = 0;

	for (uint32_t s = 0; s < SHM_SERIES; s++)
		sum += shm_series_sum(&h->seg, s, number);
	return sum;
}

/* Every row is observed once, each in one series; every failed one under one class, and so is who
 * was refused without a row. */
static void rows_are_observed(const struct harness *h)
{
	struct shm_histogram_sums latency, retries;
	int64_t failed = shm_metric_sum(&h->seg, SHM_M_REQUESTS_FAILED), classes = 0;

	shm_histogram_sum(&h->seg, SHM_H_UPSTREAM_LATENCY, &latency);
	shm_histogram_sum(&h->seg, SHM_H_RETRIES, &retries);
	assert_int_equal(latency.count, failed + shm_metric_sum(&h->seg, SHM_M_REQUESTS_OK));
	assert_int_equal(retries.count, latency.count);
	assert_int_equal(by_series(h, SHM_SERIES_FAILED), failed);
	assert_int_equal(by_series(h, SHM_SERIES_OK), shm_metric_sum(&h->seg, SHM_M_REQUESTS_OK));
	/* A row counts the attempt that its client did not wait for. */
	assert_true(by_series(h, SHM_SERIES_ATTEMPTS) >=
		    shm_metric_sum(&h->seg, SHM_M_UPSTREAM_ATTEMPTS));
	assert_int_equal(by_series(h, SHM_SERIES_INPUT),
			 shm_metric_sum(&h->seg, SHM_M_INPUT_TOKENS));
	assert_int_equal(by_series(h, SHM_SERIES_OUTPUT),
			 shm_metric_sum(&h->seg, SHM_M_OUTPUT_TOKENS));
	for (unsigned c = 0; c < SHM_ERROR_CLASS_COUNT; c++)
		classes += shm_error_class_sum(&h->seg, c);
	assert_int_equal(classes, failed + shm_metric_sum(&h->seg, SHM_M_REQUESTS_REFUSED));
}

void harness_close(struct harness *h)
{
	rows_are_observed(h);
	front_done(&h->f);
	assert_int_equal(h->w.inflight, 0);
	assert_int_equal(h->w.body_bytes, 0);
	assert_int_equal(h->w.answer_bytes, 0);
	assert_int_equal(shm_inflight_count(&h->seg, h->slot), 0);
	assert_int_equal(shm_metric_of(&h->seg, h->slot, SHM_M_CONNECTIONS_OPEN), 0);
	assert_int_equal(shm_metric_of(&h->seg, h->slot, SHM_M_INFLIGHT), 0);
	assert_int_equal(shm_metric_of(&h->seg, h->slot, SHM_M_BODY_BYTES), 0);
	by_hand_close(&h->w);
	worker_done(&h->w);
	ev_loop_destroy(h->loop);
	bf_arena_done(&h->arena);
	shm_segment_detach(&h->seg);
	(void)close(h->seg_fd);
}

int harness_client(struct harness *h)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	assert_int_equal(front_take(&h->f, pair[1], NULL), 0);
	return pair[0];
}

void harness_turns(struct harness *h, int n)
{
	for (int i = 0; i < n; i++)
		(void)ev_run(h->loop, EVRUN_NOWAIT);
}

void harness_send(struct harness *h, int fd, const char *bytes, size_t len)
{
	int64_t end = real_ms() + HARNESS_WAIT_MS;

	while (len > 0 && real_ms() < end) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN) {
			return; /* the worker closed: what it said can still be read */
		}
		harness_turns(h, 1);
	}
	assert_int_equal(len, 0);
}

static bool ends_with(const char *text, size_t len, const char *end)
{
	size_t n = strlen(end);
	return len >= n && memcmp(text + len - n, end, n) == 0;
}

size_t harness_read(struct harness *h, int fd, char *out, size_t size, const char *until,
		    bool *ret_closed)
{
	int64_t end = real_ms() + HARNESS_WAIT_MS;
	size_t len = 0;
	int silent = 0;

	if (ret_closed)
		*ret_closed = false;
	while (real_ms() < end && len < size - 1 && !(until && ends_with(out, len, until)) &&
	       (until || silent < 8)) {
		harness_turns(h, 2);
		ssize_t n = recv(fd, out + len, size - 1 - len, 0);
		if (n > 0) {
			len += (size_t)n;
			silent = 0;
		} else if (n == 0 || errno != EAGAIN) {
			if (ret_closed)
				*ret_closed = true;
			break;
		} else {
			struct pollfd p = {.fd = fd, .events = POLLIN};
			(void)poll(&p, 1, 1);
			silent++;
		}
	}
	out[len] = '\0';
	return len;
}

/* Is there a whole answer with a Content-Length? */
static bool answer_complete(const char *text, size_t len)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strstr(text, "Content-Length: ");

	if (!end || !length || length > end)
		return false;
	return len >= (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10);
}

size_t harness_ask(struct harness *h, int fd, const char *request, char *out, size_t size)
{
	int64_t end = real_ms() + HARNESS_WAIT_MS;
	size_t len = 0;

	harness_send(h, fd, request, strlen(request));
	out[0] = '\0';
	while (real_ms() < end && !answer_complete(out, len)) {
		harness_turns(h, 1);
		ssize_t n = recv(fd, out + len, size - 1 - len, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			len += (size_t)n;
		out[len] = '\0';
	}
	if (len == 0)
		fail_msg("no answer to: %s", request);
	return len;
}

/* Both kinds come in one order: those of the other kind wait here until they are asked for. */
static void keep_refused(struct harness *h, const struct shm_usage_record *row)
{
	assert_true(h->refused_count < BF_ARRAY_LEN(h->refused));
	h->refused[h->refused_count++] = *row;
}

size_t harness_rows(struct harness *h, struct shm_usage_record *out, size_t max)
{
	const struct shm_usage_record *record;
	size_t n = 0;

	while (n < max && shm_usage_peek(&h->seg, h->slot, &record, 1) == 1) {
		if (record->flags & SHM_USAGE_REFUSED)
			keep_refused(h, record);
		else
			out[n++] = *record;
		shm_usage_release(&h->seg, h->slot, 1);
	}
	return n;
}

size_t harness_refused_rows(struct harness *h, struct shm_usage_record *out, size_t max)
{
	struct shm_usage_record admitted;
	size_t n;

	assert_int_equal(harness_rows(h, &admitted, 1), 0);
	n = BF_MIN(h->refused_count, max);
	memcpy(out, h->refused, n * sizeof(*out));
	h->refused_count = 0;
	return n;
}

const char *harness_chat(const char *body)
{
	static char text[16384];

	(void)snprintf(
	    text, sizeof(text),
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    strlen(body), body);
	return text;
}
