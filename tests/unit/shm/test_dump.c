/* The dump: what it says, that it is well-formed with every reason set, and that a small buffer is
 * an error. */
#include "fixture.h"

#include "shm/content.h"
#include "shm/dump.h"
#include "shm/health.h"
#include "shm/inflight.h"

static void busy(struct fixture *f)
{
	struct shm_usage_record r = fixture_record(1);

	r.started_wall_ns = 5000000;
	assert_int_equal(shm_usage_push(&f->seg, 0, &r), 0);
	assert_int_equal(shm_inflight_begin(&f->seg, 0, &r), 0);
	r.started_wall_ns = 4000000;
	assert_int_equal(shm_inflight_begin(&f->seg, 0, &r), 1);
	assert_int_equal(shm_content_push(&f->seg, 0, r.id, SHM_CONTENT_REQUEST, "abc", 3), 0);
	for (int b = 0; b < SHM_HEALTH_COUNT; b++)
		shm_health_set(&f->seg, 0, (enum shm_health_bit)b, true);
	shm_metric_add(&f->seg, 0, SHM_M_HTTP_REQUESTS, 12);
}

static char *dump(const struct shm_segment *seg,
		  int (*fn)(const struct shm_segment *, struct bf_buf *), struct bf_buf *b)
{
	bf_buf_init(b, 1 << 20);
	assert_int_equal(fn(seg, b), 0);
	assert_int_equal(bf_buf_append(b, "", 1), 0);
	assert_non_null(b->data);
	return b->data + b->start;
}

static void has(const char *text, const char *part)
{
	assert_non_null(text);
	if (!strstr(text, part)) {
		print_error("not in the dump: %s\n", part);
		fail();
	}
}

static void text_of_a_busy_node(void **state)
{
	struct fixture *f = *state;
	struct shm_segment ro;
	struct bf_buf b;
	char *text;

	busy(f);
	assert_int_equal(shm_segment_attach(f->fd, true, NULL, &ro, NULL), 0);
	text = dump(&ro, shm_dump_text, &b);
	has(text, "segment: layout=5 size_bytes=");
	has(text, "consistent: yes\n");
	has(text, "slot 0: live role=2 index=0 pid=100 incarnation=1");
	has(text, "usage: waiting=1 overflow=0 total=1");
	has(text, "content: waiting_bytes=128 dropped=0 damaged=0");
	has(text, "inflight: held=2 oldest_started_ms=4");
	has(text, "health: writerd: the logs store refuses rows");
	has(text, "free slots: 63 of 64");
	has(text, "bifrost_http_requests_total 12\n");
	bf_buf_done(&b);
	f->seg.map->desks[0].usage.head = 40; /* mo: one thread here */
	text = dump(&ro, shm_dump_text, &b);
	has(text, "consistent: segment: usage ring of process slot 0");
	bf_buf_done(&b);
	shm_segment_detach(&ro);
}

/* Enough of a JSON check for a writer that is all format strings: nesting, quotes, no raw control
 * characters. */
static void check_json(const char *s)
{
	char open[32];
	size_t depth = 0;
	bool quoted = false;

	for (; *s; s++) {
		assert_true((unsigned char)*s >= 0x20);
		if (*s == '\\') { /* of the labels of a name */
			assert_true(quoted && s[1] == '"');
			s++;
			continue;
		}
		if (*s == '"')
			quoted = !quoted;
		if (quoted)
			continue;
		if (*s == '{' || *s == '[')
			open[depth++] = *s;
		if (*s == '}' || *s == ']') {
			assert_true(depth > 0);
			assert_int_equal(open[--depth], *s == '}' ? '{' : '[');
		}
		assert_false(*s == ',' && (s[1] == '}' || s[1] == ']' || s[1] == ','));
	}
	assert_int_equal(depth, 0);
	assert_false(quoted);
}

static void json_of_a_busy_node(void **state)
{
	struct fixture *f = *state;
	struct bf_buf b;
	char *text = dump(&f->seg, shm_dump_json, &b);

	check_json(text);
	has(text, "\"health\":[]");
	bf_buf_done(&b);
	busy(f);
	assert_int_equal(shm_slot_assign(&f->seg, 1, 1), 1);
	text = dump(&f->seg, shm_dump_json, &b);
	check_json(text);
	has(text, "\"slot\":0,\"state\":\"live\",\"role\":2");
	has(text, "\"slot\":1,\"state\":\"assigned\"");
	has(text, "\"inflight\":{\"held\":2,\"oldest_started_ms\":4}");
	has(text, "{\"component\":\"supervisor\",\"reason\":");
	has(text, "\"bifrost_http_requests_total\":12");
	has(text, "\"consistent\":true");
	bf_buf_done(&b);
}

static void a_small_buffer_is_an_error(void **state)
{
	struct fixture *f = *state;

	busy(f);
	for (size_t max = 0; max < 1200; max += 37) {
		struct bf_buf b;

		bf_buf_init(&b, max);
		assert_int_equal(shm_dump_text(&f->seg, &b), BF_E_LIMIT);
		bf_buf_done(&b);
		bf_buf_init(&b, max);
		assert_int_equal(shm_dump_json(&f->seg, &b), BF_E_LIMIT);
		bf_buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(text_of_a_busy_node),
	    FIXTURE_TEST(json_of_a_busy_node),
	    FIXTURE_TEST(a_small_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
