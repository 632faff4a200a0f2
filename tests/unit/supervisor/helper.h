/*
 * This test program as bifrost-config: the "configuration file" is a list of words. key=value words
 * fill the bundle (listen, workers, state, runtime, timeouts, the slice of each role); single words
 * make it misbehave. Only for tests.
 */
#pragma once

#include "common/base/num.h"
#include "common/schema/load.h"
#include "world.h"

struct helper_words {
	char text[2048];
	struct bf_slice listen[4];
	struct bf_config config;
	struct bf_bundle bundle;
};

static inline void helper_number(struct bf_slice value, int64_t *out)
{
	if (bf_parse_i64(value, out) < 0)
		_exit(70);
}

static inline void helper_value(struct helper_words *h, struct bf_slice key, struct bf_slice value)
{
	int64_t n;

	if (bf_slice_is(key, "listen")) {
		h->listen[h->config.server.listen.count++] = value;
		h->config.server.listen.items = h->listen;
	} else if (bf_slice_is(key, "workers")) {
		helper_number(value, &n);
		h->config.supervisor.workers = (uint64_t)n;
	} else if (bf_slice_is(key, "ready_ms")) {
		helper_number(value, &h->config.supervisor.ready_timeout_ms);
	} else if (bf_slice_is(key, "stall_ms")) {
		helper_number(value, &h->config.supervisor.stall_timeout_ms);
	} else if (bf_slice_is(key, "hash")) {
		h->config.config_hash = value;
	} else if (bf_slice_is(key, "proxyd")) {
		h->bundle.for_proxyd = value;
	} else if (bf_slice_is(key, "writerd")) {
		h->bundle.for_writerd = value;
	} else {
		_exit(71);
	}
}

static inline void helper_misbehave(struct bf_slice word, struct helper_words *h)
{
	static char block[65536];

	if (bf_slice_is(word, "wrong")) {
		h->bundle.ok = false;
		h->bundle.diagnostics =
		    BF_SLICE_LIT("f:1:1: warning: odd\nf:2:1: error: wrong word\n");
	} else if (bf_slice_is(word, "warn")) {
		h->bundle.diagnostics = BF_SLICE_LIT("f:1:1: warning: odd\n");
	} else if (bf_slice_is(word, "hang")) {
		(void)!write(STDERR_FILENO, "it hangs\n", 9);
		(void)pause();
	} else if (bf_slice_is(word, "empty")) {
		_exit(9);
	} else if (bf_slice_is(word, "garbage")) {
		(void)!write(3, "garbage", 7);
		_exit(0);
	} else if (bf_slice_is(word, "huge")) {
		while (write(3, block, sizeof(block)) > 0)
			continue;
		_exit(0);
	} else {
		_exit(72);
	}
}

static inline void helper_reply(struct helper_words *h, bool cut)
{
	struct bf_buf slice, out;
	struct bf_slice bytes;

	bf_buf_init(&slice, 65536);
	bf_buf_init(&out, 65536);
	if (bf_table_encode_mp(&bf_config_table, &h->config, BF_FOR_SUPERVISOR, &slice) < 0)
		_exit(73);
	h->bundle.for_supervisor = bf_buf_slice(&slice);
	if (bf_table_encode_mp(&bf_bundle_table, &h->bundle, 0, &out) < 0)
		_exit(74);
	bytes = bf_buf_slice(&out);
	if (cut)
		bytes.len /= 2;
	(void)!write(3, bytes.ptr, bytes.len);
	_exit(0);
}

/* Call early in main: does not return in a process started as the helper. */
static inline void helper_main(int argc, char **argv)
{
	static struct helper_words h;
	struct bf_arena arena;
	bool cut = false;
	char *rest = h.text;
	ssize_t n;

	if (argc < 2 || strcmp(argv[1], "--serve") != 0)
		return;
	n = read(0, h.text, sizeof(h.text) - 1);
	bf_arena_init(&arena, 1 << 20);
	if (n < 0 || bf_table_defaults(&bf_config_table, &h.config, &arena) < 0)
		_exit(75);
	h.config.server.listen.count = 0;
	h.config.supervisor.log_level = 0;
	h.bundle.ok = true;
	h.bundle.for_proxyd = h.bundle.for_clusterd = h.bundle.for_discoveryd =
	    h.bundle.for_writerd = BF_SLICE_LIT("obey");
	for (char *word; (word = strsep(&rest, " \n")) != NULL;) {
		char *value = strchr(word, '=');

		if (strcmp(word, "cut") == 0)
			cut = true;
		else if (value)
			helper_value(&h, (struct bf_slice){word, (size_t)(value - word)},
				     bf_slice_from(value + 1));
		else if (word[0])
			helper_misbehave(bf_slice_from(word), &h);
	}
	helper_reply(&h, cut);
}
