/*
 * bifrostctl limits: all limits and how they stand, asked of writerd page by page;
 * and the word of a person that the wall clock is right. Must never show half of a JSON document.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/codec/json_writer.h"
#include "ctl/output.h"
#include "ctl/session.h"

#define OUTPUT_BYTES (64u << 20)
#define AMOUNT_LEN   32
#define OWNER_MAX    32

struct listing {
	struct bf_msg_limits page;
	struct bf_json_writer json;
	struct bf_buf buf;
	uint64_t shown;
};

static const char *amount(const struct bf_msg_limit *l, int64_t n, char out[AMOUNT_LEN])
{
	if (bf_slice_is(l->quantity, "cost"))
		(void)snprintf(out, AMOUNT_LEN, "%s$%" PRId64 ".%09" PRId64, n < 0 ? "-" : "",
			       (n < 0 ? -n : n) / 1000000000, (n < 0 ? -n : n) % 1000000000);
	else
		(void)snprintf(out, AMOUNT_LEN, "%" PRId64, n);
	return out;
}

static const char *moment(int64_t ms, char out[AMOUNT_LEN])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(out, AMOUNT_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(out, AMOUNT_LEN, "%" PRId64 "ms", ms);
	return out;
}

/* What a person reads: the key of a provider config is not part of its name. */
static void print_owner(FILE *out, const struct bf_msg_limit *l)
{
	bool of_key = bf_slice_is(l->owner, "virtual_key");

	ctl_print_text(out, l->owner);
	(void)fputc(' ', out);
	ctl_print_text(out, l->owner_name.len ? l->owner_name : l->owner_id);
	if (of_key || l->virtual_key_id.len == 0)
		return;
	(void)fputs(" of ", out);
	ctl_print_text(out, l->virtual_key_name.len ? l->virtual_key_name : l->virtual_key_id);
}

static void print_limit(FILE *out, const struct bf_msg_limit *l)
{
	char used[AMOUNT_LEN], held[AMOUNT_LEN], max[AMOUNT_LEN], left[AMOUNT_LEN];
	char start[AMOUNT_LEN], end[AMOUNT_LEN];

	print_owner(out, l);
	(void)fputs("  ", out);
	ctl_print_text(out, l->limit_id);
	(void)fputs("  ", out);
	ctl_print_text(out, l->quantity);
	(void)fprintf(out, "  used %s  held %s  max %s  left %s", amount(l, l->used, used),
		      amount(l, l->held, held), amount(l, l->max, max), amount(l, l->left, left));
	if (l->extra)
		(void)fprintf(out, "  override %s until %s", amount(l, l->extra, max),
			      l->extra_end_ms ? moment(l->extra_end_ms, end) : "it is deleted");
	if (l->window.len) {
		(void)fputs("  window ", out);
		ctl_print_text(out, l->window);
		(void)fprintf(out, " %s to %s", moment(l->start_ms, start), moment(l->end_ms, end));
	}
	if (l->frozen)
		(void)fputs("  OLD CLOCK", out);
	if (!l->placed)
		(void)fputs("  NO METER", out);
	(void)fputc('\n', out);
}

static int on_page(struct ctl *ctl, const struct bf_frame *f, void *user)
{
	struct listing *l = user;
	int r = ctl_decode(ctl, f, &l->page);
	const struct bf_msg_limit *items = l->page.items.items;

	for (uint32_t i = 0; r == CTL_OK && i < l->page.items.count; i++) {
		if (ctl->json)
			bf_table_write_json(bf_msg_def(BF_MSG_LIMITS)->body->fields[2].sub,
					    &items[i], &l->json);
		else
			print_limit(ctl->out, &items[i]);
	}
	l->shown += l->page.items.count;
	return r;
}

static int ask_pages(struct ctl *ctl, struct listing *l, const struct bf_msg_limits_get *what)
{
	struct bf_msg_limits_get get = *what;
	int r;

	do {
		l->page = (struct bf_msg_limits){.next = 0};
		r = ctl_call_to(ctl, BF_ENDPOINT(BF_ROLE_WRITERD, 0), BF_MSG_LIMITS_GET, &get,
				CTL_QUICK_MS, BF_MSG_LIMITS, on_page, l);
		if (r == CTL_OK && l->page.next != 0 && l->page.next <= get.from)
			return ctl_fail(ctl, CTL_FAILED, "limits: the gateway's pages go back");
		get.from = l->page.next;
	} while (r == CTL_OK && get.from != 0);
	return r;
}

static void say_clock(struct ctl *ctl, const struct listing *l)
{
	char age[32];

	if (l->page.clock_ahead_ms > 0)
		(void)fprintf(ctl->out,
			      "the wall clock jumped ahead by %s: windows shorter than that go on "
			      "by the time of before it; if it is right: bifrostctl limits "
			      "--accept-clock\n",
			      ctl_format_age(l->page.clock_ahead_ms, age));
	if (l->page.clock_ahead_ms < 0)
		(void)fprintf(ctl->out,
			      "the wall clock is behind by %s: windows follow it slowly; if it is "
			      "right: bifrostctl limits --accept-clock\n",
			      ctl_format_age(-l->page.clock_ahead_ms, age));
}

static int end_json(struct ctl *ctl, struct listing *l, int code)
{
	int r;

	bf_jw_end_array(&l->json);
	bf_jw_key(&l->json, "clock_ahead_ms");
	bf_jw_i64(&l->json, l->page.clock_ahead_ms);
	bf_jw_end_object(&l->json);
	if (code != CTL_OK)
		return code;
	r = bf_jw_finish(&l->json);
	if (r == 0)
		r = bf_buf_append(&l->buf, "\n", 1);
	if (r < 0)
		return ctl_fail(ctl, CTL_FAILED, "limits: %s", bf_err_text(r));
	ctl_print_buf(ctl->out, &l->buf);
	return CTL_OK;
}

static bool is_any(const struct bf_msg_limits_get *get)
{
	return get->virtual_key.len == 0 && get->owner.len == 0;
}

static int list(struct ctl *ctl, const struct bf_msg_limits_get *what)
{
	struct listing l = {.shown = 0};
	int r;

	bf_buf_init(&l.buf, OUTPUT_BYTES);
	bf_jw_init(&l.json, &l.buf);
	bf_jw_object(&l.json);
	bf_jw_key(&l.json, "limits");
	bf_jw_array(&l.json);
	r = ask_pages(ctl, &l, what);
	if (ctl->json)
		r = end_json(ctl, &l, r);
	else if (r == CTL_OK && l.shown == 0)
		(void)fputs(is_any(what) ? "no limits are configured\n" : "it has no limits\n",
			    ctl->out);
	if (r == CTL_OK && !ctl->json)
		say_clock(ctl, &l);
	bf_buf_done(&l.buf);
	return r;
}

static int accept_clock(struct ctl *ctl)
{
	int r = ctl_call(ctl, BF_MSG_CLOCK_ACCEPT, NULL, CTL_QUICK_MS, BF_MSG_NONE, NULL, NULL);

	if (r == CTL_OK)
		(void)fputs(ctl->json ? "{\"ok\":true}\n"
				      : "windows of limits follow the wall clock\n",
			    ctl->out);
	return r;
}

/* KIND or KIND:WHICH; the kinds are writerd's. */
static bool split_owner(const char *text, struct bf_msg_limits_get *get)
{
	const char *colon = strchr(text, ':');

	get->owner = (struct bf_slice){text, colon ? (size_t)(colon - text) : strlen(text)};
	if (colon)
		get->owner_id = bf_slice_from(colon + 1);
	return get->owner.len && get->owner.len <= OWNER_MAX && (!colon || get->owner_id.len) &&
	       get->owner_id.len <= BF_LIMITS_MAX_TEXT;
}

/* Of one key, as a word or an option, and of one owner; CTL_USAGE with its line. */
static int read_filter(struct ctl *ctl, struct ctl_args *args, struct bf_msg_limits_get *get)
{
	static const char owners[] =
	    "KIND or KIND:ID, such as team or team:blue; KIND is provider, "
	    "model_config, provider_config, virtual_key, team or customer";
	const char *owner = NULL, *key = NULL, *word;
	int r = ctl_option(ctl, args, "--owner", owners, &owner);

	if (r == CTL_OK)
		r = ctl_option(ctl, args, "--virtual-key", "the id or the name of one", &key);
	word = ctl_args_operand(args);
	if (r == CTL_OK)
		r = ctl_no_more(ctl, args);
	if (r != CTL_OK)
		return r;
	if (owner && !split_owner(owner, get))
		return ctl_fail(ctl, CTL_USAGE, "--owner is %s", owners);
	if (word && key)
		return ctl_fail(ctl, CTL_USAGE, "KEY and --virtual-key say the same: give one");
	key = word ? word : key;
	if (key && (strlen(key) > BF_LIMITS_MAX_TEXT || key[0] == '\0'))
		return ctl_fail(ctl, CTL_USAGE, "KEY is the id or the name of a virtual key");
	get->virtual_key = bf_slice_from(key ? key : "");
	return CTL_OK;
}

int ctl_limits(struct ctl *ctl, struct ctl_args *args)
{
	struct bf_msg_limits_get get = {.from = 0};
	bool accept = ctl_args_flag(args, "--accept-clock");
	int r = accept ? ctl_no_more(ctl, args) : read_filter(ctl, args, &get);

	if (r == CTL_OK)
		r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;
	return accept ? accept_clock(ctl) : list(ctl, &get);
}
