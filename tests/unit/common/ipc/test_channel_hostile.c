/* The channel and its worst company: garbage, peers that die, owners that close it at the worst
 * moment. */
#include "tests/unit/common/ipc/channel_bed.h"

/* Each kind of garbage closes the channel with its code; frames before it were delivered, those
 * after it are not. */
static void garbage_closes(struct bed *b, const void *bytes, size_t len, int fd, int code)
{
	struct bf_frame f = plain(1, "", 0);

	peer_sends(b, &f);
	peer_sends_bytes(b, bytes, len, fd);
	peer_sends(b, &f);
	settle(b);
	assert_int_equal(b->owner.frames, 1);
	assert_int_equal(b->owner.closes, 1);
	assert_int_equal(b->owner.code, code);
	assert_true(b->owner.why[0] != '\0');
	assert_null(strchr(b->owner.why, '\n'));
}

static void test_garbage_short(void **state)
{
	garbage_closes(*state, "\1\0\2\0", 4, -1, BF_E_SYNTAX);
}

static void test_garbage_version(void **state)
{
	garbage_closes(*state, "\2\0\2\0\0\4\0\4\0\0\0\0\0\0\0\0", 16, -1, BF_E_VERSION);
}

static void test_garbage_length(void **state)
{
	garbage_closes(*state, "\1\0\2\0\0\4\0\4\0\0\0\0\1\0\0\0", 16, -1, BF_E_SYNTAX);
}

static void test_garbage_oversize(void **state)
{
	static char big[BF_FRAME_MAX + 1];

	garbage_closes(*state, big, sizeof(big), -1, BF_E_LIMIT);
}

static void test_garbage_unannounced_fd(void **state)
{
	garbage_closes(*state, "\1\0\2\0\0\4\0\4\0\0\0\0\0\0\0\0", 16, 0, BF_E_SYNTAX);
}

static void test_garbage_missing_fd(void **state)
{
	garbage_closes(*state, "\1\20\2\0\0\4\0\4\0\0\0\0\0\0\0\0", 16, -1, BF_E_SYNTAX);
}

static void test_garbage_then_owner_frees(void **state)
{
	struct bed *b = *state;

	b->owner.on_close = ACT_FREE;
	peer_sends_bytes(b, "x", 1, 0);
	settle(b);
	assert_int_equal(b->owner.closes, 1);
	assert_null(b->owner.channel);
}

static void close_in_on_frame(struct bed *b, enum action action)
{
	struct bf_frame f = plain(1, "", 0);

	b->owner.on_frame = action;
	f.fd = 0;
	for (int i = 0; i < 3; i++)
		peer_sends(b, &f);
	settle(b);
	assert_int_equal(b->owner.closes, 0);
}

static void test_close_inside_on_frame(void **state)
{
	close_in_on_frame(*state, ACT_CLOSE);
	assert_int_equal(((struct bed *)*state)->owner.frames, 1);
}

static void test_free_inside_on_frame(void **state)
{
	close_in_on_frame(*state, ACT_FREE);
	assert_int_equal(((struct bed *)*state)->owner.frames, 1);
}

static void test_free_inside_a_nested_loop(void **state)
{
	close_in_on_frame(*state, ACT_NEST);
	assert_int_equal(((struct bed *)*state)->owner.frames, 2);
}

static void test_close_inside_a_nested_loop(void **state)
{
	close_in_on_frame(*state, ACT_NEST_THEN_CLOSE);
	assert_int_equal(((struct bed *)*state)->owner.frames, 2);
}

static void test_overrun_inside_on_frame(void **state)
{
	struct bed *b = *state;
	struct bf_frame f = plain(1, "", 0);

	b->owner.on_frame = ACT_OVERRUN;
	b->owner.on_close = ACT_FREE;
	peer_sends(b, &f);
	peer_sends(b, &f);
	settle(b);
	assert_int_equal(b->owner.frames, 1);
	assert_int_equal(b->owner.closes, 1);
	assert_int_equal(b->owner.code, BF_E_FULL);
}

static void test_close_of_a_broken_channel_tells_nothing(void **state)
{
	struct bed *b = *state;
	struct bf_frame f = plain(1, "", 0);

	while (channel_sends(b, &f) == 0)
		continue;
	bf_channel_close(b->channel);
	settle(b);
	assert_int_equal(b->owner.closes, 0);
}

static void test_frames_of_a_peer_that_left_come_first(void **state)
{
	struct bed *b = *state;
	struct bf_frame f = plain(1, "", 0);

	for (int i = 0; i < 8; i++)
		peer_sends(b, &f);
	peer_leaves(b);
	settle(b);
	assert_int_equal(b->owner.frames, 8);
	assert_int_equal(b->owner.closes, 1);
	assert_int_equal(b->owner.code, 0);
}

/* The peer left without reading: the kernel then says ECONNRESET before it gives out what the peer
 * sent. */
static void test_frames_of_a_peer_that_died_come_first(void **state)
{
	struct bed *b = *state;
	struct bf_frame f = plain(9, "", 0);

	assert_int_equal(channel_sends(b, &f), 0);
	peer_sends(b, &f);
	peer_leaves(b);
	settle(b);
	assert_int_equal(b->owner.frames, 1);
	assert_int_equal(b->owner.last_request, 9);
	assert_int_equal(b->owner.closes, 1);
	assert_int_equal(b->owner.code, 0);
}

static void test_send_to_a_peer_that_left(void **state)
{
	struct bed *b = *state;
	struct bf_frame f = plain(1, "", 0);

	peer_sends(b, &f);
	peer_leaves(b);
	assert_int_equal(channel_sends(b, &f), 0);
	assert_int_equal(channel_sends(b, &f), 0);
	assert_int_equal(b->owner.closes, 0);
	settle(b);
	assert_int_equal(b->owner.frames, 1);
	assert_int_equal(b->owner.closes, 1);
	assert_int_equal(b->owner.code, 0);
}

static void test_peer_leaves_with_a_queue(void **state)
{
	struct bed *b = *state;

	(void)fill_socket(b);
	peer_leaves(b);
	settle(b);
	assert_int_equal(b->owner.closes, 1);
	assert_int_equal(b->owner.code, 0);
	assert_int_equal(b->channel->queue_frames, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_BED(test_garbage_short),
	    IN_BED(test_garbage_version),
	    IN_BED(test_garbage_length),
	    IN_BED(test_garbage_oversize),
	    IN_BED(test_garbage_unannounced_fd),
	    IN_BED(test_garbage_missing_fd),
	    IN_BED(test_garbage_then_owner_frees),
	    IN_BED(test_close_inside_on_frame),
	    IN_BED(test_free_inside_on_frame),
	    IN_BED(test_free_inside_a_nested_loop),
	    IN_BED(test_close_inside_a_nested_loop),
	    IN_BED(test_overrun_inside_on_frame),
	    IN_BED(test_close_of_a_broken_channel_tells_nothing),
	    IN_BED(test_frames_of_a_peer_that_left_come_first),
	    IN_BED(test_frames_of_a_peer_that_died_come_first),
	    IN_BED(test_send_to_a_peer_that_left),
	    IN_BED(test_peer_leaves_with_a_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
