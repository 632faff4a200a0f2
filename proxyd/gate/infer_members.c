/*
 * Members of bodies. Called by infer.c as soon as a body is on the tape, so that each of them is
 * compared with the names only once. Must never look below the root.
 */
#include "proxyd/gate/infer_members.h"

static const struct bf_slice infer_names[] = {
    [INFER_MODEL] = BF_SLICE_INIT("model"),
    [INFER_FALLBACKS] = BF_SLICE_INIT("fallbacks"),
    [INFER_MESSAGES] = BF_SLICE_INIT("messages"),
    [INFER_PROMPT] = BF_SLICE_INIT("prompt"),
    [INFER_INPUT] = BF_SLICE_INIT("input"),
    [INFER_PREVIOUS_RESPONSE] = BF_SLICE_INIT("previous_response_id"),
    [INFER_BACKGROUND] = BF_SLICE_INIT("background"),
    [INFER_STREAM] = BF_SLICE_INIT("stream"),
    [INFER_STREAM_OPTIONS] = BF_SLICE_INIT("stream_options"),
    [INFER_SERVICE_TIER] = BF_SLICE_INIT("service_tier"),
    [INFER_MAX_COMPLETION_TOKENS] = BF_SLICE_INIT("max_completion_tokens"),
    [INFER_MAX_TOKENS] = BF_SLICE_INIT("max_tokens"),
    [INFER_MAX_OUTPUT_TOKENS] = BF_SLICE_INIT("max_output_tokens"),
    [INFER_N] = BF_SLICE_INIT("n"),
    [INFER_BEST_OF] = BF_SLICE_INIT("best_of"),
};

_Static_assert(sizeof(infer_names) / sizeof(infer_names[0]) == INFER_MEMBERS, "each has a name");

void infer_members_find(struct infer_body *body)
{
	bf_json_find_all(&body->tape, 0, infer_names, INFER_MEMBERS, body->at);
}

const char *infer_member_name(enum infer_member member)
{
	return infer_names[member].ptr;
}
