/*
 * The provider's side of the books. Called by conn.c at the end of each request; must write whole
 * lines only.
 */
#include "tests/support/mockllm/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KEY_SHOWN 6
#define LINE_MAX  (64u << 10)

int ledger_open(struct ledger *l, const char *file)
{
	*l = (struct ledger){.fd = -1};
	bf_buf_init(&l->line, LINE_MAX);
	if (!file)
		return 0;
	l->fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return l->fd < 0 ? -errno : 0;
}

static struct bf_slice tail(struct bf_slice s, size_t n)
{
	return s.len <= n ? s : (struct bf_slice){s.ptr + s.len - n, n};
}

void ledger_append(struct ledger *l, const struct ledger_line *line)
{
	struct bf_slice key = tail(line->bearer, KEY_SHOWN), text;

	l->lines++;
	if (l->fd < 0)
		return;
	bf_buf_clear(&l->line);
	if (bf_buf_printf(
		&l->line,
		"{\"user\":\"%.*s\",\"key\":\"%.*s\",\"path\":\"%.*s\",\"stream\":%s,\"status\":%d,"
		"\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"delivered_tokens\":%llu,"
		"\"delivered_bytes\":%llu,\"events\":%llu,\"end\":\"%s\",\"started_ns\":%lld,"
		"\"ended_ns\":%lld}\n",
		BF_SLICE_FMT(line->user), BF_SLICE_FMT(key), BF_SLICE_FMT(line->path),
		line->stream ? "true" : "false", line->status,
		(unsigned long long)line->prompt_tokens,
		(unsigned long long)line->completion_tokens,
		(unsigned long long)line->delivered_tokens,
		(unsigned long long)line->delivered_bytes, (unsigned long long)line->events,
		line->end, (long long)line->started_ns, (long long)line->ended_ns) < 0) {
		fputs("mockllm: a line of the ledger is too long\n", stderr);
		exit(1);
	}
	text = bf_buf_slice(&l->line);
	if (write(l->fd, text.ptr, text.len) != (ssize_t)text.len) {
		perror("mockllm: the ledger cannot be written");
		exit(1);
	}
}

void ledger_close(struct ledger *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	bf_buf_done(&l->line);
}

static uint64_t hash64(struct bf_slice s)
{
	uint64_t h = 14695981039346656037ull;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (uint8_t)s.ptr[i]) * 1099511628211ull;
	return h ? h : 1;
}

static struct asked_entry *find(struct asked_entry *entries, uint32_t size, uint64_t hash)
{
	uint32_t i = (uint32_t)(hash ^ hash >> 32) & (size - 1);

	while (entries[i].hash && entries[i].hash != hash)
		i = (i + 1) & (size - 1);
	return &entries[i];
}

static int grow(struct asked *t)
{
	uint32_t size = t->size ? t->size * 2 : 1024;
	struct asked_entry *wider = size > ASKED_MAX ? NULL : calloc(size, sizeof(*wider));

	if (!wider)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->size; i++) {
		if (t->entries[i].hash)
			*find(wider, size, t->entries[i].hash) = t->entries[i];
	}
	free(t->entries);
	t->entries = wider;
	t->size = size;
	return 0;
}

uint64_t asked_before(struct asked *t, struct bf_slice user)
{
	uint64_t hash = hash64(user);
	struct asked_entry *e;

	if (t->used * 2 >= t->size && grow(t) != 0)
		return UINT64_MAX;
	e = find(t->entries, t->size, hash);
	if (!e->hash) {
		e->hash = hash;
		t->used++;
	}
	return e->count++;
}

void asked_done(struct asked *t)
{
	free(t->entries);
	*t = (struct asked){0};
}
