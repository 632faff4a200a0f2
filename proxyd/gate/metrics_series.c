/*
 * Counters by provider, model and method as text. Called by metrics.c for each scrape. Must never
 * write two samples of equal labels, nor bytes that are no UTF-8: scrapers drop the whole answer.
 */
#include "proxyd/gate/metrics_series.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/codec/utf8.h"
#include "proxyd/gate/metrics_text.h"
#include "proxyd/record/record.h"
#include "shm/series.h"
#include "shm/usage.h"

#define REST BF_SLICE_LIT("other")

static const struct {
	enum shm_metric metric;
	enum shm_series_number number;
} by_series[] = {
    {SHM_M_UPSTREAM_ATTEMPTS, SHM_SERIES_ATTEMPTS}, {SHM_M_REQUESTS_OK, SHM_SERIES_OK},
    {SHM_M_REQUESTS_FAILED, SHM_SERIES_FAILED},     {SHM_M_INPUT_TOKENS, SHM_SERIES_INPUT},
    {SHM_M_OUTPUT_TOKENS, SHM_SERIES_OUTPUT},
};

/* SHM_SERIES_NUMBER_COUNT: it is not counted by series. */
static enum shm_series_number number_of(enum shm_metric m)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(by_series); i++) {
		if (by_series[i].metric == m)
			return by_series[i].number;
	}
	return SHM_SERIES_NUMBER_COUNT;
}

bool metrics_is_by_series(enum shm_metric m)
{
	return number_of(m) != SHM_SERIES_NUMBER_COUNT;
}

static struct bf_slice method_name(uint32_t method)
{
	static const struct {
		uint32_t method;
		struct bf_slice name;
	} names[] = {
	    {RECORD_METHOD(SHM_OBJECT_CHAT, 0), BF_SLICE_INIT("chat_completion")},
	    {RECORD_METHOD(SHM_OBJECT_CHAT, 1), BF_SLICE_INIT("chat_completion_stream")},
	    {RECORD_METHOD(SHM_OBJECT_COMPLETION, 0), BF_SLICE_INIT("text_completion")},
	    {RECORD_METHOD(SHM_OBJECT_COMPLETION, 1), BF_SLICE_INIT("text_completion_stream")},
	    {RECORD_METHOD(SHM_OBJECT_EMBEDDING, 0), BF_SLICE_INIT("embedding")},
	    {RECORD_METHOD(SHM_OBJECT_EMBEDDING, 1), BF_SLICE_INIT("embedding_stream")},
	    {RECORD_METHOD(SHM_OBJECT_RESPONSES, 0), BF_SLICE_INIT("responses")},
	    {RECORD_METHOD(SHM_OBJECT_RESPONSES, 1), BF_SLICE_INIT("responses_stream")},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++) {
		if (names[i].method == method)
			return names[i].name;
	}
	return BF_SLICE_LIT("unknown");
}

/*
 * A name that was cut within a character stays itself: were its last bytes dropped, two names could
 * become one. Then, and only then, each byte beyond ASCII is written as two digits.
 */
static struct bf_slice printable(const char *text, size_t size, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = strnlen(text, size), n = 0;

	if (bf_utf8_valid(text, len))
		return (struct bf_slice){text, len};
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x80) {
			out[n++] = text[i];
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	return (struct bf_slice){out, n};
}

static int write_sample(struct bf_buf *out, const char *family, struct bf_slice provider,
			struct bf_slice model, struct bf_slice method, int64_t value)
{
	int r = bf_buf_printf(out, "%s{", family);

	if (r == 0)
		r = metrics_label_write(out, "provider", provider);
	if (r == 0)
		r = metrics_label_write(out, ",model", model);
	if (r == 0)
		r = metrics_label_write(out, ",method", method);
	return r < 0 ? r : bf_buf_printf(out, "} %" PRId64 "\n", value);
}

int metrics_series_write(const struct shm_segment *seg, enum shm_metric m, struct bf_buf *out)
{
	const char *family = shm_metric_defs[m].exported;
	enum shm_series_number number = number_of(m);
	char provider[3 * SHM_SERIES_PROVIDER_BYTES], model[3 * SHM_SERIES_MODEL_BYTES];
	struct shm_series_name name;
	uint32_t method;
	int r = 0;

	for (uint32_t s = 0; s < SHM_SERIES_REST && r == 0; s++) {
		if (!shm_series_name(seg, s, &name, &method))
			continue;
		r = write_sample(out, family,
				 printable(name.provider, sizeof(name.provider), provider),
				 printable(name.model, sizeof(name.model), model),
				 method_name(method), shm_series_sum(seg, s, number));
	}
	if (r == 0)
		r = write_sample(out, family, REST, REST, REST,
				 shm_series_sum(seg, SHM_SERIES_REST, number));
	return r;
}

unsigned metrics_series_used(const struct shm_segment *seg)
{
	struct shm_series_name name;
	uint32_t method;
	unsigned used = 0;

	for (uint32_t s = 0; s < SHM_SERIES_REST; s++)
		used += shm_series_name(seg, s, &name, &method);
	return used;
}
