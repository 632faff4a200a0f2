/* Health: what the segment says turns into status, reasons and HTTP codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/ipc/frame.h"
#include "proxyd/gate/health.h"
#include "shm/health.h"
#include "shm/slot.h"
#include "tests/unit/proxyd/harness.h"

static struct bf_buf out;

static const char *report(struct harness *h, enum health_status *ret_status)
{
	bf_buf_clear(&out);
	assert_int_equal(health_write(&h->w, bf_mono_ms(), &out, ret_status), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	return bf_buf_slice(&out).ptr;
}

static uint32_t add_process(struct harness *h, enum bf_role role)
{
	int p = shm_slot_assign(&h->seg, (uint16_t)role, 0);

	assert_true(p >= 0);
	shm_slot_set_pid(&h->seg, (uint32_t)p, 1);
	assert_int_equal(shm_slot_enter(&h->seg, (uint32_t)p, 1, bf_wall_ns(), bf_mono_ns()), 0);
	shm_slot_beat(&h->seg, (uint32_t)p, bf_mono_ns());
	return (uint32_t)p;
}

static void open_full_house(struct harness *h)
{
	bf_buf_init(&out, 1 << 20);
	harness_open(h, NULL);
	(void)add_process(h, BF_ROLE_SUPERVISOR);
	(void)add_process(h, BF_ROLE_CLUSTERD);
	(void)add_process(h, BF_ROLE_DISCOVERYD);
	(void)add_process(h, BF_ROLE_WRITERD);
	(void)add_process(h, BF_ROLE_READER);
}

static void ok_when_all_live(void **state)
{
	struct harness h;
	enum health_status status;

	(void)state;
	open_full_house(&h);
	const char *text = report(&h, &status);
	assert_int_equal(status, HEALTH_OK);
	assert_ptr_equal(strstr(text, "{\"status\":\"ok\",\"components\":{\"supervisor\":{"
				      "\"status\":\"ok\",\"reasons\":[]}"),
			 text);
	assert_non_null(
	    strstr(text, "\"version\":\"1.2.3\",\"management_api\":\"this machine only\","));
	harness_close(&h);
	bf_buf_done(&out);
}

static void degraded_when_one_is_missing_or_silent(void **state)
{
	struct harness h;
	enum health_status status;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	harness_clock(true);
	harness_open(&h, NULL);
	(void)add_process(&h, BF_ROLE_SUPERVISOR);
	(void)add_process(&h, BF_ROLE_CLUSTERD);
	uint32_t writerd = add_process(&h, BF_ROLE_WRITERD);
	const char *text = report(&h, &status);
	assert_int_equal(status, HEALTH_DEGRADED);
	assert_non_null(strstr(text, "\"discoveryd\":{\"status\":\"degraded\",\"reasons\":[\"the "
				     "process is not running\"]}"));
	assert_non_null(strstr(text, "\"writerd\":{\"status\":\"ok\",\"reasons\":[]}"));
	harness_tick(10001);
	text = report(&h, &status);
	assert_non_null(strstr(
	    text,
	    "\"writerd\":{\"status\":\"degraded\",\"reasons\":[\"the heartbeat has been silent"));
	shm_slot_beat(&h.seg, writerd, bf_mono_ns());
	text = report(&h, &status);
	assert_non_null(strstr(text, "\"writerd\":{\"status\":\"ok\",\"reasons\":[]}"));
	harness_close(&h);
	harness_clock(false);
	bf_buf_done(&out);
}

static void reasons_come_from_the_segment(void **state)
{
	struct harness h;
	enum health_status status;

	(void)state;
	open_full_house(&h);
	shm_health_set(&h.seg, h.slot, SHM_H_STORE_FAILING, true);
	const char *text = report(&h, &status);
	assert_int_equal(status, HEALTH_DEGRADED);
	assert_non_null(strstr(
	    text,
	    "\"writerd\":{\"status\":\"degraded\",\"reasons\":[\"the logs store refuses rows"));
	shm_health_set(&h.seg, h.slot, SHM_H_STORE_FAILING, false);
	(void)report(&h, &status);
	assert_int_equal(status, HEALTH_OK);
	harness_close(&h);
	bf_buf_done(&out);
}

static void draining_is_503_and_closes_but_serves(void **state)
{
	static char answer[16384];
	struct harness h;
	int fd;

	(void)state;
	open_full_house(&h);
	shm_set_draining(&h.seg, true);
	fd = harness_client(&h);
	(void)harness_ask(&h, fd, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", answer,
			  sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 503 Service Unavailable\r\n", 34);
	assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(answer, "{\"status\":\"draining\""));
	(void)close(fd);
	fd = harness_client(&h);
	(void)harness_ask(&h, fd, "GET /ready HTTP/1.1\r\nHost: a\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 503", 12);
	(void)close(fd);
	fd = harness_client(&h);
	(void)harness_ask(
	    &h, fd,
	    harness_chat(
		"{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"),
	    answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
	assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
	(void)close(fd);
	shm_set_draining(&h.seg, false);
	fd = harness_client(&h);
	(void)harness_ask(&h, fd, "GET /ready HTTP/1.1\r\nHost: a\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	assert_null(strstr(answer, "Connection: close"));
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
	bf_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ok_when_all_live),
	    cmocka_unit_test(degraded_when_one_is_missing_or_silent),
	    cmocka_unit_test(reasons_come_from_the_segment),
	    cmocka_unit_test(draining_is_503_and_closes_but_serves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
