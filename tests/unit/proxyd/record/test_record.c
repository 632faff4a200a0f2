/* Rows: one per admitted request, with everything in it, kept room, bodies, crash in between. */
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
#include "proxyd/gate/admit.h"
#include "proxyd/record/record.h"
#include "shm/content.h"
#include "shm/inflight.h"
#include "shm/metrics.h"
#include "shm/series.h"
#include "shm/slot.h"
#include "tests/unit/proxyd/harness.h"
#include "tests/unit/proxyd/segment_copy.h"

#define CHAT                                                                                 \
	"{\"model\":\"mock/some-model\",\"messages\":[{\"role\":\"user\",\"content\":\"one " \
	"two\"}]}"

static char answer[65536];

static void row_says_it_all(void **state)
{
	struct shm_usage_record row, none;
	struct shm_content item;
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	h.w.index = 3;
	int fd = harness_client(&h);
	int64_t before = bf_wall_ns();
	(void)harness_ask(&h, fd, harness_chat(CHAT), answer, sizeof(answer));
	assert_int_equal(harness_rows(&h, &row, 1), 1);
	assert_int_equal(harness_rows(&h, &none, 1), 0);
	assert_true(row.started_wall_ns >= before && row.started_wall_ns <= bf_wall_ns());
	assert_true(row.latency_us >= row.first_byte_us && row.first_byte_us > 0);
	assert_int_equal(row.prompt_tokens, 2);
	assert_int_equal(row.completion_tokens, 2);
	assert_int_equal(row.status, SHM_USAGE_SUCCESS);
	assert_int_equal(row.http_status, 200);
	assert_int_equal(row.object_type, SHM_OBJECT_CHAT);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_REQUESTS_OK), 1);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_REQUESTS_FAILED), 0);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_INPUT_TOKENS), 2);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_OUTPUT_TOKENS), 2);
	assert_int_equal(row.worker, 3);
	assert_int_equal(row.proc_slot, h.slot);
	assert_int_equal(row.incarnation, h.w.incarnation);
	assert_int_equal(row.attempts, 1);
	assert_string_equal(row.provider, "mock");
	assert_string_equal(row.model, "some-model");
	assert_int_equal(row.flags, SHM_USAGE_HAS_CONTENT);
	/* The id is a UUIDv7, and the answer's id carries it. */
	struct bf_uuid id;
	char text[BF_UUID_TEXT_LEN + 1];
	memcpy(id.bytes, row.id, 16);
	bf_uuid_format(&id, text);
	assert_int_equal(text[14], '7');
	assert_non_null(strstr(answer, text));
	/* Both bodies wait under the same id. */
	assert_int_equal(shm_content_next(&h.seg, h.slot, 0, &item), 1);
	assert_memory_equal(item.id, row.id, 16);
	assert_int_equal(item.kind, SHM_CONTENT_REQUEST);
	assert_int_equal(item.len, strlen(CHAT));
	assert_memory_equal(item.bytes, CHAT, item.len);
	assert_int_equal(shm_content_next(&h.seg, h.slot, item.end, &item), 1);
	assert_int_equal(item.kind, SHM_CONTENT_RESPONSE);
	/* As the provider sent it: without what the gateway put before the last brace. */
	assert_memory_equal(item.bytes, strstr(answer, "\r\n\r\n") + 4, item.len - 1);
	assert_null(memmem(item.bytes, item.len, "extra_fields", 12));
	assert_int_equal(shm_content_next(&h.seg, h.slot, item.end, &item), 0);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void who_is_not_known_has_no_row(void **state)
{
	struct shm_usage_record row;
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	(void)harness_ask(&h, fd, harness_chat("{\"model\":\"x\"}"), answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 400", 12);
	assert_int_equal(harness_refused_rows(&h, &row, 1), 0);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void no_logging(struct bf_config *config)
{
	config->client.enable_logging = false;
}

static void no_content(struct bf_config *config)
{
	config->client.disable_content_logging = true;
}

static void logging_can_be_off(void **state)
{
	void (*const tweaks[])(struct bf_config *) = {no_logging, no_content};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct shm_usage_record row;
		struct shm_content item;
		struct harness h;
		harness_open(&h, tweaks[i]);
		int fd = harness_client(&h);
		(void)harness_ask(&h, fd, harness_chat(CHAT), answer, sizeof(answer));
		assert_memory_equal(answer, "HTTP/1.1 200", 12);
		assert_int_equal(harness_rows(&h, &row, 1), i);
		assert_int_equal(shm_content_next(&h.seg, h.slot, 0, &item), 0);
		if (i == 1)
			assert_int_equal(row.flags, 0);
		(void)close(fd);
		harness_turns(&h, 4);
		harness_close(&h);
	}
}

/* A key's own word counts before the client block's, either way. */
static void a_key_decides_about_content(void **state)
{
	static const struct {
		bool disabled;
		enum bf_tristate own;
		bool wanted;
	} cases[] = {
	    {false, BF_TRI_UNSET, true}, {false, BF_TRI_FALSE, true}, {false, BF_TRI_TRUE, false},
	    {true, BF_TRI_UNSET, false}, {true, BF_TRI_FALSE, true},  {true, BF_TRI_TRUE, false},
	};
	struct bf_conf_virtual_key conf = {.is_active = true};
	const struct bf_plan_key key = {.conf = &conf};
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	struct exchange *x = exchange_new(&h.w);
	assert_non_null(x);
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		h.config.client.disable_content_logging = cases[i].disabled;
		conf.disable_content_logging = (int32_t)cases[i].own;
		x->virtual_key = &key;
		assert_int_equal(record_wants_content(x), cases[i].wanted);
		x->virtual_key = NULL;
		assert_int_equal(record_wants_content(x), !cases[i].disabled);
	}
	h.config.client.enable_logging = false;
	x->virtual_key = &key;
	conf.disable_content_logging = BF_TRI_FALSE;
	assert_false(record_wants_content(x));
	exchange_free(x);
	harness_close(&h);
}

/* Whose it is, as this worker's plan says: in the row, and in what the sweep would find. */
static void a_row_has_the_owners_of_its_key(void **state)
{
	char id[sizeof(((struct shm_usage_record *)0)->team_id)]; /* as long as they get */
	struct bf_conf_customer customer = {.own = {.id = {"c", 1}, .name = {"acme", 4}}};
	struct bf_conf_team team = {.own = {.id = {id, sizeof(id)}, .name = {"blue", 4}}};
	struct bf_conf_virtual_key conf = {.own = {.id = {id, sizeof(id)}, .name = {"key", 3}}};
	const struct bf_plan_key keys[] = {
	    {.conf = &conf, .team_conf = &team, .customer_conf = &customer},
	    {.conf = &conf, .customer_conf = &customer},
	};
	struct harness h;

	(void)state;
	memset(id, 'k', sizeof(id));
	harness_open(&h, NULL);
	for (size_t i = 0; i < BF_ARRAY_LEN(keys); i++) {
		struct exchange *x = exchange_new(&h.w);
		assert_non_null(x);
		x->virtual_key = &keys[i];
		x->provider = BF_SLICE_LIT("mock");
		assert_true(record_open(x));
		assert_memory_equal(x->record.virtual_key_id, id, sizeof(id));
		assert_string_equal(x->record.virtual_key_name, "key");
		assert_int_equal(memcmp(x->record.team_id, id, sizeof(id)) == 0, i == 0);
		assert_int_equal(x->record.team_id[0] == 0, i == 1);
		assert_string_equal(x->record.customer_id, "c");
		record_cancel(x);
		exchange_free(x);
	}
	harness_close(&h);
}

static void slow_mock(struct bf_config *config)
{
	harness_mock(config)->mock_config.latency_ms = 500;
}

/* Every request in flight keeps room for its row: what does not fit is refused before it costs
 * anything. */
static void full_ring_refuses_and_loses_nothing(void **state)
{
	struct shm_usage_record row = {.status = SHM_USAGE_SUCCESS};
	struct harness h;
	int running, refused;

	(void)state;
	harness_open(&h, slow_mock);
	while (shm_usage_room(&h.seg, h.slot) > 1)
		assert_int_equal(shm_usage_push(&h.seg, h.slot, &row), 0);
	running = harness_client(&h);
	refused = harness_client(&h);
	const char *request = harness_chat(CHAT);
	harness_send(&h, running, request, strlen(request));
	harness_turns(&h, 2);
	assert_int_equal(h.w.inflight, 1);
	(void)harness_ask(&h, refused, request, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 503 Service Unavailable\r\n", 34);
	assert_non_null(strstr(answer, "\r\nRetry-After: 1\r\n"));
	assert_non_null(strstr(answer, "\"type\":\"overloaded\""));
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_ADMIT_REFUSED_FULL), 1);
	(void)harness_ask(&h, running, "", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	assert_int_equal(shm_usage_room(&h.seg, h.slot), 0);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_USAGE_OVERFLOWED), 1);
	(void)close(running);
	(void)close(refused);
	harness_turns(&h, 4);
	harness_close(&h);
}

static int64_t counted(struct harness *h, const char *model, uint32_t method,
		       enum shm_series_number number)
{
	struct shm_series_name name = {.provider = "mock"};
	uint32_t s;

	memcpy(name.model, model, strlen(model));
	s = shm_series_find(&h->seg, &name, method, false);
	return s == SHM_SERIES_REST ? -1 : shm_series_sum(&h->seg, s, number);
}

/* Answers make series, and failures that are not about what was asked. */
static void rows_are_counted_by_name(void **state)
{
	const uint32_t chat = RECORD_METHOD(SHM_OBJECT_CHAT, 0);
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	for (int n = 0; n < 2; n++)
		(void)harness_ask(&h, fd, harness_chat(CHAT), answer, sizeof(answer));
	assert_int_equal(counted(&h, "some-model", chat, SHM_SERIES_OK), 2);
	assert_int_equal(counted(&h, "some-model", chat, SHM_SERIES_ATTEMPTS), 2);
	assert_int_equal(counted(&h, "some-model", chat, SHM_SERIES_INPUT), 4);
	assert_int_equal(counted(&h, "some-model", chat, SHM_SERIES_OUTPUT), 4);
	assert_int_equal(counted(&h, "some-model", chat, SHM_SERIES_FAILED), 0);
	assert_int_equal(counted(&h, "some-model", chat | 1, SHM_SERIES_OK), -1);
	for (int n = 0; n < 3; n++)
		(void)harness_ask(
		    &h, fd,
		    harness_chat("{\"model\":\"mock/other-model\",\"messages\":[{\"role\":"
				 "\"user\",\"content\":\"x\"}]}"),
		    answer, sizeof(answer));
	(void)harness_ask(&h, fd, harness_chat(CHAT), answer, sizeof(answer));
	assert_int_equal(counted(&h, "some-model", chat, SHM_SERIES_OK), 3);
	assert_int_equal(counted(&h, "other-model", chat, SHM_SERIES_OK), 3);
	for (int n = 0; n < 2; n++) {
		const struct exchange_outcome failed = {
		    .error_type = "x", .error_text = "", .http_status = n ? 500 : 404};
		struct exchange x = {.worker = &h.w,
				     .provider = BF_SLICE_LIT("mock"),
				     .model = BF_SLICE_LIT("invented"),
				     .record = {.object_type = SHM_OBJECT_CHAT},
				     .inflight = -1};
		assert_true(record_open(&x));
		worker_count(&h.w, SHM_M_UPSTREAM_ATTEMPTS);
		record_close(&x, &failed);
		assert_int_equal(counted(&h, "invented", chat, SHM_SERIES_FAILED), n ? 1 : -1);
		assert_int_equal(shm_series_sum(&h.seg, SHM_SERIES_REST, SHM_SERIES_FAILED), 1);
	}
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

/* A chat of so many bytes; what makes it long is not said to the mock, which would say it back. */
static const char *chat_of(size_t len)
{
	static const char begin[] =
	    "{\"model\":\"mock/"
	    "m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"user\":\"";
	static const char end[] = "\"}";
	static char request[SHM_CONTENT_MAX_BYTES + 256];
	int at = snprintf(request, sizeof(request),
			  "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: "
			  "application/json\r\nContent-Length: %zu\r\n\r\n",
			  len);
	char *body = request + at;

	memset(body, 'x', len);
	memcpy(body, begin, sizeof(begin) - 1);
	memcpy(body + len - (sizeof(end) - 1), end, sizeof(end));
	return request;
}

static void a_body_that_is_cut_says_so(void **state)
{
	struct shm_usage_record row;
	struct shm_content item;
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t over = 0; over < 2; over++) {
		int fd = harness_client(&h);

		(void)harness_ask(&h, fd, chat_of(SHM_CONTENT_MAX_BYTES + over), answer,
				  sizeof(answer));
		assert_memory_equal(answer, "HTTP/1.1 200", 12);
		assert_int_equal(harness_rows(&h, &row, 1), 1);
		assert_int_equal((row.flags & SHM_USAGE_CONTENT_CUT) != 0, over);
		assert_int_equal(shm_content_next(&h.seg, h.slot, 0, &item), 1);
		assert_int_equal(item.len, SHM_CONTENT_MAX_BYTES);
		while (shm_content_next(&h.seg, h.slot, 0, &item))
			shm_content_release(&h.seg, h.slot, item.end);
		(void)close(fd);
		harness_turns(&h, 4);
	}
	harness_close(&h);
}

static void full_content_ring_costs_the_content_alone(void **state)
{
	static char filler[SHM_CONTENT_MAX_BYTES];
	static const uint8_t id[16];
	struct shm_usage_record row;
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t len = sizeof(filler); len > 0; len /= 2) {
		while (shm_content_push(&h.seg, h.slot, id, SHM_CONTENT_REQUEST, filler, len) == 0)
			;
	}
	int fd = harness_client(&h);
	(void)harness_ask(&h, fd, harness_chat(CHAT), answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	assert_int_equal(harness_rows(&h, &row, 1), 1);
	assert_false(row.flags & SHM_USAGE_HAS_CONTENT);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_CONTENT_DROPPED), 1);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static void paced(struct bf_config *config)
{
	harness_mock(config)->mock_config.token_interval_ms = 60000;
}

/* If this worker died now, the sweep would find the tokens the client has already seen. */
static void entry_follows_a_stream(void **state)
{
	struct shm_usage_record row;
	struct shm_segment copy;
	struct harness h;

	(void)state;
	harness_open(&h, paced);
	int fd = harness_client(&h);
	const char *request = harness_chat(
	    "{\"model\":\"mock/m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"one two three\"}]}");
	harness_send(&h, fd, request, strlen(request));
	(void)harness_read(&h, fd, answer, sizeof(answer), NULL, NULL);
	assert_non_null(strstr(answer, "\"content\":\"one \""));
	assert_int_equal(harness_rows(&h, &row, 1), 0);
	copy_segment(&h, &copy);
	shm_slot_dead(&copy, h.slot);
	assert_true(shm_inflight_sweep(&copy, h.slot, 0, bf_wall_ns(), &row) >= 0);
	shm_segment_detach(&copy);
	assert_int_equal(row.completion_tokens, 1);
	assert_int_equal(row.prompt_tokens, 3);
	assert_true(row.flags & SHM_USAGE_CRASHED);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(row_says_it_all),
	    cmocka_unit_test(who_is_not_known_has_no_row),
	    cmocka_unit_test(logging_can_be_off),
	    cmocka_unit_test(a_key_decides_about_content),
	    cmocka_unit_test(a_row_has_the_owners_of_its_key),
	    cmocka_unit_test(full_ring_refuses_and_loses_nothing),
	    cmocka_unit_test(rows_are_counted_by_name),
	    cmocka_unit_test(a_body_that_is_cut_says_so),
	    cmocka_unit_test(full_content_ring_costs_the_content_alone),
	    cmocka_unit_test(entry_follows_a_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
