/*
 * The rows of messages about the price sheet: part of the table of messages_table.c.
 */
#include "common/ipc/messages_prices.h"

#include <stddef.h>

#include "common/base/macros.h"
#include "common/schema/config_prices.h"

#define FIELD(owner, member, kind, least, most, text)                                          \
	{                                                                                      \
		.name = #member, .doc = (text), .min = (least), .max = (most),                 \
		.offset = offsetof(struct owner, member), .type = (kind), .flags = BF_REQUIRED \
	}
#define UINT(owner, member, text)       FIELD(owner, member, BF_T_UINT, 0, INT64_MAX, text)
#define BOOL(owner, member, text)       FIELD(owner, member, BF_T_BOOL, 0, 1, text)
#define TEXT(owner, member, most, text) FIELD(owner, member, BF_T_STRING, 0, most, text)
#define TABLE(label, owner, rows)                                                \
	{                                                                        \
		.name = (label), .fields = (rows), .size = sizeof(struct owner), \
		.field_count = BF_ARRAY_LEN(rows)                                \
	}

static const struct bf_field sync_fields[] = {
    BOOL(bf_msg_price_sync, accept_smaller,
	 "also a sheet that has lost more than half of its models"),
};
const struct bf_table bf_msg_price_sync_table = TABLE("price_sync", bf_msg_price_sync, sync_fields);

static const struct bf_field sheet_fields[] = {
    TEXT(bf_msg_price_sheet, url, BF_PRICE_SHEET_URL_MAX, "where it was fetched"),
    TEXT(bf_msg_price_sheet, etag, BF_PRICE_SHEET_ETAG_MAX,
	 "what the server calls this state of it; empty: nothing"),
    TEXT(bf_msg_price_sheet, date, 64, "of its prices, as it says; empty: it does not"),
    UINT(bf_msg_price_sheet, models, "in the memfd that comes along, sealed"),
    UINT(bf_msg_price_sheet, skipped, "entries of models that are not paid for by tokens of text"),
    UINT(bf_msg_price_sheet, size, "bytes of the memfd"),
    BOOL(bf_msg_price_sheet, accept_smaller, "also when it has lost more than half of its models"),
};
const struct bf_table bf_msg_price_sheet_table =
    TABLE("price_sheet", bf_msg_price_sheet, sheet_fields);

static const struct bf_field fresh_fields[] = {
    TEXT(bf_msg_price_fresh, url, BF_PRICE_SHEET_URL_MAX,
	 "whose sheet is still the one that is stored"),
};
const struct bf_table bf_msg_price_fresh_table =
    TABLE("price_fresh", bf_msg_price_fresh, fresh_fields);
