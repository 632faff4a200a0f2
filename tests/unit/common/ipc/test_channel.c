/* The channel on a loop: order, bounds, descriptors, replies. */
#include "tests/unit/common/ipc/channel_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

static void test_frames_arrive_in_order_with_their_body(void **state)
{
	struct bed *b = *state;

	for (uint32_t i = 1; i <= 5; i++) {
		struct bf_frame f = plain(i, "abcde", i);
		peer_sends(b, &f);
	}
	settle(b);
	assert_int_equal(b->owner.frames, 5);
	assert_int_equal(b->owner.last_request, 5);
	assert_int_equal(b->owner.last_length, 5);
	assert_int_equal(b->owner.last_fd, -1);
	assert_int_equal(b->channel->received, 5);
	assert_int_equal(b->owner.closes, 0);
}

static void test_open_sets_the_flags_of_the_socket(void **state)
{
	struct bed *b = *state;
	struct bf_channel other = {.fd = -1};
	struct bf_err err = {0};

	assert_true(fcntl(b->channel->fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(b->channel->fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(bf_channel_open(&other, b->loop, 9999, &events, NULL, &err), -EBADF);
	assert_non_null(strstr(err.text, "9999"));
	bf_channel_close(&other);
}

/* A peer that floods must not keep the loop from others. */
static void test_one_turn_is_bounded(void **state)
{
	struct bed *b = *state;
	struct bf_frame f = plain(1, "", 0);
	unsigned sent;

	for (sent = 0; sent < 100; sent++) {
		uint8_t header[BF_FRAME_HEADER_SIZE];
		bf_frame_encode_header(&f, header);
		if (bf_fdpass_send(b->peer, header, sizeof(header), NULL, 0, -1) != 0)
			break;
	}
	turn(b);
	/* net.unix.max_dgram_qlen may be as small as 10. */
	assert_int_equal(b->owner.frames, BF_MIN(sent, 32));
	settle(b);
	assert_int_equal(b->owner.frames, sent);
}

static void test_queued_frames_follow_in_order(void **state)
{
	struct bed *b = *state;
	uint8_t buf[BF_FRAME_MAX];
	uint32_t n = fill_socket(b);

	for (uint32_t i = 0; i < 50; i++) {
		struct bf_frame f = plain(++n, "queued", 6);
		assert_int_equal(channel_sends(b, &f), 0);
	}
	assert_int_equal(b->channel->queue_frames, 51);
	assert_int_equal(b->channel->queue_bytes, 17 + 50 * 22);
	assert_int_equal(b->channel->queue_high_water, 51);
	for (uint32_t i = 1; i <= n; i++) {
		struct bf_frame f;
		turn(b);
		assert_int_equal(bf_frame_recv_blocking(b->peer, buf, 0, &f, NULL), 0);
		assert_int_equal(f.request, i);
	}
	turn(b);
	assert_int_equal(b->channel->queue_frames, 0);
	assert_int_equal(b->channel->queue_bytes, 0);
	assert_int_equal(b->channel->sent, n);
	assert_false(ev_is_active(&b->channel->writer));
	assert_int_equal(b->owner.closes, 0);
}

static void test_bound_of_frames(void **state)
{
	struct bed *b = *state;
	struct bf_frame f = plain(1, "", 0);

	(void)fill_socket(b);
	for (unsigned i = 1; i < BF_CHANNEL_MAX_FRAMES; i++)
		assert_int_equal(channel_sends(b, &f), 0);
	assert_int_equal(b->channel->queue_frames, BF_CHANNEL_MAX_FRAMES);
	assert_int_equal(channel_sends(b, &f), BF_E_FULL);
	assert_int_equal(b->owner.closes, 0);
	/* From now on nothing is taken, and nothing is kept. */
	assert_int_equal(channel_sends(b, &f), BF_E_FULL);
	assert_int_equal(b->channel->queue_frames, 0);
	settle(b);
	assert_int_equal(b->owner.closes, 1);
	assert_int_equal(b->owner.code, BF_E_FULL);
	assert_int_equal(channel_sends(b, &f), BF_E_FULL);
	settle(b);
	assert_int_equal(b->owner.closes, 1);
}

static void test_bound_of_bytes(void **state)
{
	static char big[BF_FRAME_MAX_BODY];
	struct bed *b = *state;
	struct bf_frame f = plain(1, big, sizeof(big));
	unsigned queued = 0;
	int r;

	do {
		r = channel_sends(b, &f);
		if (b->channel->queue_frames > queued)
			queued = b->channel->queue_frames;
	} while (r == 0);
	assert_int_equal(r, BF_E_FULL);
	assert_int_equal(queued, BF_CHANNEL_MAX_BYTES / BF_FRAME_MAX);
	settle(b);
	assert_int_equal(b->owner.closes, 1);
}

static void test_too_long_a_body_harms_nothing(void **state)
{
	static char big[BF_FRAME_MAX_BODY + 1];
	struct bed *b = *state;
	struct bf_frame f = plain(1, big, sizeof(big));

	assert_int_equal(channel_sends(b, &f), BF_E_LIMIT);
	assert_int_equal(bf_frame_send_blocking(b->peer, &f, NULL), BF_E_LIMIT);
	f.body.len--;
	assert_int_equal(channel_sends(b, &f), 0);
	peer_sends(b, &f);
	settle(b);
	assert_int_equal(b->owner.frames, 1);
	assert_int_equal(b->owner.last_length, BF_FRAME_MAX_BODY);
	assert_int_equal(b->owner.closes, 0);
}

static void test_fd_is_taken_or_closed(void **state)
{
	struct bed *b = *state;
	int open_before = fd_count();
	struct bf_frame f = plain(1, "", 0);

	f.fd = 0;
	peer_sends(b, &f);
	settle(b);
	assert_true(b->owner.last_fd > 2);
	assert_int_equal(fd_count(), open_before);

	b->owner.on_frame = ACT_TAKE_FD;
	peer_sends(b, &f);
	settle(b);
	assert_int_equal(fd_count(), open_before + 1);
	assert_true(fcntl(b->owner.taken_fd, F_GETFD) & FD_CLOEXEC);
	(void)close(b->owner.taken_fd);
	assert_int_equal(b->owner.closes, 0);
}

static void test_queued_fd_is_a_duplicate(void **state)
{
	struct bed *b = *state;
	uint8_t buf[BF_FRAME_MAX];
	uint32_t n = fill_socket(b);
	struct bf_frame f = plain(n + 1, "", 0);
	int got = -1;

	f.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(channel_sends(b, &f), 0);
	(void)close(f.fd);
	for (uint32_t i = 0; i <= n; i++) {
		struct bf_frame in;
		turn(b);
		assert_int_equal(bf_frame_recv_blocking(b->peer, buf, 0, &in, NULL), 0);
		got = in.fd;
		assert_int_equal(got >= 0, in.request == n + 1);
	}
	assert_true(got >= 0);
	assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
	(void)close(got);
}

static void test_dropped_queue_closes_its_fds(void **state)
{
	struct bed *b = *state;
	struct bf_frame f = plain(1, "", 0);

	(void)fill_socket(b);
	int open_before = fd_count();
	f.fd = 0;
	for (int i = 0; i < 10; i++)
		assert_int_equal(channel_sends(b, &f), 0);
	assert_int_equal(fd_count(), open_before + 10);
	f.fd = -1;
	while (channel_sends(b, &f) == 0)
		continue;
	assert_int_equal(fd_count(), open_before);
}

static void test_fd_that_cannot_be_queued_breaks_the_channel(void **state)
{
	struct bed *b = *state;
	struct bf_frame f = plain(1, "", 0);
	struct rlimit old, none;

	(void)fill_socket(b);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 4;
	f.fd = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int r = channel_sends(b, &f);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, -EMFILE);
	settle(b);
	assert_int_equal(b->owner.code, -EMFILE);
}

static void test_unsendable_fd_breaks_the_channel(void **state)
{
	struct bed *b = *state;
	struct bf_frame f = plain(1, "", 0);

	f.fd = 9999;
	assert_int_equal(channel_sends(b, &f), -EBADF);
	assert_int_equal(b->owner.closes, 0);
	settle(b);
	assert_int_equal(b->owner.closes, 1);
	assert_int_equal(b->owner.code, -EBADF);
}

static void expect_reply(struct bed *b, uint16_t type, uint8_t flags)
{
	uint8_t buf[BF_FRAME_MAX];
	struct bf_frame f;

	assert_int_equal(bf_frame_recv_blocking(b->peer, buf, 0, &f, NULL), 0);
	assert_int_equal(f.type, type);
	assert_int_equal(f.flags, flags);
	assert_int_equal(f.request, 77);
	assert_int_equal(f.source, SUPERVISOR);
	assert_int_equal(f.target, WRITERD);
}

static void test_replies_in_parts(void **state)
{
	struct bed *b = *state;
	struct bf_frame asked = plain(77, "", 0);
	struct bf_msg_diag diag = {.is_error = false, .text = BF_SLICE_LIT("line")};
	char text[2000];

	memset(text, 'e', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(bf_channel_reply(b->channel, &asked, BF_MSG_DIAG, &diag, true), 0);
	assert_int_equal(bf_channel_reply(b->channel, &asked, BF_MSG_OK, NULL, false), 0);
	assert_int_equal(bf_channel_reply_error(b->channel, &asked, BF_E_STATE, text), 0);
	expect_reply(b, BF_MSG_DIAG, BF_FRAME_REPLY | BF_FRAME_MORE);
	expect_reply(b, BF_MSG_OK, BF_FRAME_REPLY);
	expect_reply(b, BF_MSG_ERROR, BF_FRAME_REPLY | BF_FRAME_ERROR);

	/* Who wants no reply gets none. */
	asked.request = 0;
	assert_int_equal(bf_channel_reply(b->channel, &asked, BF_MSG_OK, NULL, false), 0);
	uint8_t buf[BF_FRAME_MAX];
	assert_int_equal(bf_frame_recv_blocking(b->peer, buf, 0, &asked, NULL), BF_E_TIMEOUT);

	b->owner.on_frame = ACT_REPLY;
	asked = plain(77, "", 0);
	peer_sends(b, &asked);
	settle(b);
	expect_reply(b, BF_MSG_OK, BF_FRAME_REPLY);
}

static void test_message_that_cannot_be_encoded(void **state)
{
	struct bed *b = *state;
	static char big[BF_FRAME_MAX];
	struct bf_msg_diag diag = {.text = {big, sizeof(big)}};

	assert_int_equal(bf_channel_send_msg(b->channel, 14, SUPERVISOR, WRITERD, 0, 0, NULL),
			 BF_E_UNKNOWN);
	assert_int_equal(
	    bf_channel_send_msg(b->channel, BF_MSG_DIAG, SUPERVISOR, WRITERD, 0, 0, &diag),
	    BF_E_LIMIT);
	assert_int_equal(
	    bf_channel_send_msg(b->channel, BF_MSG_STOP, SUPERVISOR, WRITERD, 0, 0, NULL), 0);
	settle(b);
	assert_int_equal(b->owner.closes, 0);
	assert_int_equal(b->channel->sent, 1);
}

/* Who did not hear yet that it is closed may still send. */
static void test_closed_channel_takes_nothing(void **state BF_UNUSED)
{
	struct bf_channel c = {.fd = -1};
	const struct bf_frame f = {.type = BF_MSG_OK, .fd = -1};

	assert_int_equal(bf_channel_send(&c, &f), BF_E_CLOSED);
	bf_channel_close(&c);
	assert_int_equal(bf_channel_send(&c, &f), BF_E_CLOSED);
}

static void test_zeroed_channel_may_be_closed(void **state BF_UNUSED)
{
	struct bf_channel c = {.fd = 0};

	bf_channel_close(&c);
	assert_true(fcntl(0, F_GETFD) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_BED(test_frames_arrive_in_order_with_their_body),
	    IN_BED(test_open_sets_the_flags_of_the_socket),
	    IN_BED(test_one_turn_is_bounded),
	    IN_BED(test_queued_frames_follow_in_order),
	    IN_BED(test_bound_of_frames),
	    IN_BED(test_bound_of_bytes),
	    IN_BED(test_too_long_a_body_harms_nothing),
	    IN_BED(test_fd_is_taken_or_closed),
	    IN_BED(test_queued_fd_is_a_duplicate),
	    IN_BED(test_dropped_queue_closes_its_fds),
	    IN_BED(test_fd_that_cannot_be_queued_breaks_the_channel),
	    IN_BED(test_unsendable_fd_breaks_the_channel),
	    IN_BED(test_replies_in_parts),
	    IN_BED(test_message_that_cannot_be_encoded),
	    cmocka_unit_test(test_closed_channel_takes_nothing),
	    cmocka_unit_test(test_zeroed_channel_may_be_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
