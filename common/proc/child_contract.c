/*
 * Reads what the supervisor left in the environment and at fixed descriptors. Called once at the
 * start of a child. It trusts nothing: a program started by hand, or by another version, must say
 * so instead of failing later.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/proc/child_priv.h"
#include "common/proc/contract.h"

#define MAX_INDEX     1023u /* what an endpoint can name */
#define MAX_ADDRESSES 64u

static int need_text(const char *name, const char **ret_text, struct bf_err *err)
{
	const char *text = getenv(name);

	if (text == NULL || text[0] == '\0')
		return bf_err_set(err, BF_E_MISSING, "contract: %s is not set", name);
	*ret_text = text;
	return 0;
}

static int need_number(const char *name, uint32_t max, uint32_t *ret_value, struct bf_err *err)
{
	const char *text = "";
	uint64_t value;
	int r = need_text(name, &text, err);

	if (r < 0)
		return r;
	r = bf_parse_u64(bf_slice_from(text), &value);
	if (r < 0 || value > max)
		return bf_err_set(err, BF_E_RANGE, "contract: %s=%.64s is not a number up to %u",
				  name, text, max);
	*ret_value = (uint32_t)value;
	return 0;
}

static int read_role(enum bf_role role, struct bf_contract *c, struct bf_err *err)
{
	const char *text = getenv(BF_ENV_ROLE);

	if (text == NULL)
		return bf_err_set(err, BF_E_STATE, "contract: %s is not set", BF_ENV_ROLE);
	if (!bf_slice_is(bf_slice_from(text), bf_role_name(role)))
		return bf_err_set(err, BF_E_UNKNOWN, "contract: %s=%.64s, but this program is %s",
				  BF_ENV_ROLE, text, bf_role_name(role));
	c->role = role;
	return 0;
}

static int read_level(struct bf_contract *c, struct bf_err *err)
{
	const char *text = "";
	int level;
	int r = need_text(BF_ENV_LOG_LEVEL, &text, err);

	if (r < 0)
		return r;
	level = bf_log_parse_level(text);
	if (level < 0)
		return bf_err_set(err, BF_E_UNKNOWN, "contract: %s=%.64s is no log level",
				  BF_ENV_LOG_LEVEL, text);
	c->log_level = (enum bf_log_level)level;
	return 0;
}

static int read_environment(struct bf_contract *c, struct bf_err *err)
{
	int r = need_number(BF_ENV_INDEX, MAX_INDEX, &c->index, err);

	c->user = getenv(BF_ENV_USER);
	if (r == 0)
		r = need_number(BF_ENV_PROC_SLOT, MAX_INDEX, &c->proc_slot, err);
	if (r == 0)
		r = need_number(BF_ENV_WORKERS, MAX_INDEX + 1, &c->workers, err);
	if (r == 0)
		r = need_number(BF_ENV_ADDRESSES, MAX_ADDRESSES, &c->addresses, err);
	if (r == 0)
		r = need_text(BF_ENV_BUILD_ID, &c->build_id, err);
	if (r == 0)
		r = need_text(BF_ENV_STATE_DIR, &c->state_dir, err);
	if (r == 0)
		r = need_text(BF_ENV_RUNTIME_DIR, &c->runtime_dir, err);
	if (r == 0)
		r = read_level(c, err);
	return r;
}

static int check_channel(struct bf_err *err)
{
	int type = 0, domain = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(BF_FD_CHANNEL, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET)
		return bf_err_set(err, BF_E_STATE, "contract: descriptor %d is no control channel",
				  BF_FD_CHANNEL);
	len = sizeof(domain);
	if (getsockopt(BF_FD_CHANNEL, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    domain != AF_UNIX)
		return bf_err_set(err, BF_E_STATE, "contract: descriptor %d is no control channel",
				  BF_FD_CHANNEL);
	return 0;
}

/* Nothing here is ever meant for another program: what exec let through is closed to the next one.
 */
static int check_descriptors(const struct bf_contract *c, struct bf_err *err)
{
	int last = BF_FD_DOORBELL;

	if (c->role == BF_ROLE_PROXYD)
		last = BF_FD_LISTEN + (int)(c->workers * c->addresses) - 1;
	for (int fd = BF_FD_CHANNEL; fd <= last; fd++) {
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return bf_err_sys(err, -errno, "contract: descriptor %d", fd);
	}
	return 0;
}

int bf_contract_read(enum bf_role role, struct bf_contract *ret_contract, struct bf_err *err)
{
	struct bf_contract c = {0};
	int r = read_role(role, &c, err);

	if (r == 0)
		r = check_channel(err);
	if (r == 0)
		r = read_environment(&c, err);
	if (r == 0 && role == BF_ROLE_PROXYD && c.index >= c.workers)
		r = bf_err_set(err, BF_E_RANGE, "contract: worker %u of %u", c.index, c.workers);
	if (r == 0)
		r = check_descriptors(&c, err);
	if (r == 0)
		*ret_contract = c;
	return r;
}
