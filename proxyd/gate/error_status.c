/*
 * Rate limits and used up quotas that come with another status. Called for every error of an
 * upstream, so it searches for words and builds no tape. Must never be misled by a message that
 * quotes such a word.
 */
#include "proxyd/gate/error_status.h"

#include <string.h>

#include "common/base/macros.h"

#define ERROR_BODY_LOOKED_AT 2048u

static const struct {
	const char *quoted;
	int http_status;
} error_words[] = {
    {"\"insufficient_quota\"", 402},
    {"\"rate_limit_exceeded\"", 429},
    {"\"rate_limit_error\"", 429},
};

static const char *skip_space_back(const char *begin, const char *at)
{
	while (at > begin && (at[-1] == ' ' || at[-1] == '\t' || at[-1] == '\n' || at[-1] == '\r'))
		at--;
	return at;
}

/* Is the string that begins at `at` the value of a member that names an error? In a message quotes
 * are escaped. */
static bool is_name_of_error(const char *begin, const char *at)
{
	at = skip_space_back(begin, at);
	if (at == begin || at[-1] != ':')
		return false;
	at = skip_space_back(begin, at - 1);
	return at - begin >= 6 &&
	       (memcmp(at - 6, "\"code\"", 6) == 0 || memcmp(at - 6, "\"type\"", 6) == 0);
}

static bool names_error(struct bf_slice body, struct bf_slice word)
{
	const char *end = body.ptr + body.len, *from = body.ptr, *at;

	while ((at = memmem(from, (size_t)(end - from), word.ptr, word.len)) != NULL) {
		if (is_name_of_error(body.ptr, at))
			return true;
		from = at + word.len;
	}
	return false;
}

int error_status_meant(int http_status, struct bf_slice body)
{
	if (body.len == 0 || (http_status != 400 && http_status != 403 && http_status != 429))
		return http_status;
	body.len = BF_MIN(body.len, (size_t)ERROR_BODY_LOOKED_AT);
	for (size_t i = 0; i < BF_ARRAY_LEN(error_words); i++) {
		if (names_error(body, bf_slice_from(error_words[i].quoted)))
			return error_words[i].http_status;
	}
	return http_status;
}

bool error_status_no_model(int http_status, struct bf_slice body)
{
	if (body.len == 0 || (http_status != 400 && http_status != 403 && http_status != 404))
		return false;
	body.len = BF_MIN(body.len, (size_t)ERROR_BODY_LOOKED_AT);
	return names_error(body, BF_SLICE_LIT("\"model_not_found\""));
}
