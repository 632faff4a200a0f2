/*
 * logs_store.enabled: false, or client.enable_logging: false. Used by main.c in place of a
 * database; must count no row as written.
 */
#include "writerd/store_null.h"

static int null_begin(struct store *s, struct bf_err *err)
{
	(void)s;
	(void)err;
	return 0;
}

static int null_append(struct store *s, const struct row *row, bool *ret_inserted,
		       struct bf_err *err)
{
	(void)s;
	(void)row;
	(void)err;
	*ret_inserted = false;
	return 0;
}

static void null_nothing(struct store *s)
{
	(void)s;
}

static int null_expire(struct store *s, const char *before, unsigned limit, unsigned *ret_deleted,
		       struct bf_err *err)
{
	(void)s;
	(void)before;
	(void)limit;
	(void)err;
	*ret_deleted = 0;
	return 0;
}

struct store *store_null_open(void)
{
	static const struct store_ops ops = {
	    .begin = null_begin,
	    .append = null_append,
	    .commit = null_begin,
	    .rollback = null_nothing,
	    .expire = null_expire,
	    .mend = null_begin,
	    .close = null_nothing,
	};
	static struct store store = {&ops};

	return &store;
}
