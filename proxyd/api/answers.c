/*
 * Answers of others. Called by the control channel through ask.c, and by the handlers when nobody
 * could be asked. Must never say that nothing was done when it may have been.
 */
#include "proxyd/api/answers.h"

#include <stdio.h>

#include "proxyd/api/refuse.h"
#include "proxyd/worker.h"

static const struct bf_slice nobody = {NULL, 0};

static const struct {
	int code, http_status;
	const char *type;
} errors[] = {
    {BF_E_UNKNOWN, 404, "not_found"},
    {BF_E_TIMEOUT, 504, "api_timeout"},
    {BF_E_LIMIT, 400, "answer_too_large"},
    {BF_E_FULL, 503, "api_busy"},
};

static void fail(struct exchange *x, int code, struct bf_slice text)
{
	int http_status = 503;
	const char *type = "api_unavailable";

	for (size_t i = 0; i < BF_ARRAY_LEN(errors); i++) {
		if (errors[i].code == code) {
			http_status = errors[i].http_status;
			type = errors[i].type;
		}
	}
	if (http_status == 503)
		x->retry_after_s = 1;
	api_refuse(x, http_status, type, nobody, "%.*s", BF_SLICE_FMT(text));
}

void api_answered(struct exchange *x, const struct ask_answer *answer)
{
	char tag[40];
	int n = 0;

	if (answer->code < 0) {
		fail(x, answer->code, answer->text);
		return;
	}
	if (answer->http_status == 503)
		x->retry_after_s = 1;
	if (answer->version)
		n = snprintf(tag, sizeof(tag), "ETag: \"%llu\"\r\n",
			     (unsigned long long)answer->version);
	api_answer(x, answer->http_status, (struct bf_slice){tag, (size_t)n}, answer->text);
}

void api_not_asked(struct exchange *x, int code)
{
	if (code == BF_E_FULL)
		fail(x, code, BF_SLICE_LIT("too many questions wait for an answer: try again"));
	else if (code == BF_E_LIMIT)
		api_refuse(x, 413, "body_too_large", nobody,
			   "what was sent does not fit one message: send less at once");
	else
		fail(x, BF_E_CLOSED,
		     BF_SLICE_LIT("the process that answers cannot be asked: try "
				  "again"));
}
