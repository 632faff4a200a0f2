/*
 * The start of every child, in the one order that is safe: what needs rights or paths first, then
 * fewer and fewer rights, then the loop. Called by the main of proxyd, clusterd, discoveryd and
 * writerd.
 */
#include "common/proc/child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/proc/child_priv.h"
#include "common/proc/contract.h"
#include "common/proc/fds.h"
#include "common/proc/privdrop.h"
#include "common/proc/title.h"

#define ARENA_MAX_BYTES   (64u << 20)
#define SCRATCH_MAX_BYTES (1u << 20)

static void set_title(int argc, char **argv, enum bf_role role)
{
	const char *index = getenv(BF_ENV_INDEX);
	char name[32], detail[32] = "";

	(void)snprintf(name, sizeof(name), "bifrost-%s", bf_role_name(role));
	if (role == BF_ROLE_PROXYD && index != NULL)
		(void)snprintf(detail, sizeof(detail), "worker %.16s", index);
	bf_title_set(argc, argv, name, detail);
}

/* Before there is a log: one line for whoever typed the name. */
static int read_contract(const struct bf_child_spec *spec, struct bf_contract *ret_contract)
{
	const char *role = bf_role_name(spec->role);
	struct bf_err err = {0};
	int r = bf_contract_read(spec->role, ret_contract, &err);

	if (r == BF_E_STATE) {
		(void)fprintf(stderr, "bifrost-%s is started by bifrost; run `bifrost -c FILE`\n",
			      role);
		return BF_EXIT_USAGE;
	}
	if (r < 0) {
		(void)fprintf(stderr, "bifrost-%s: %s\n", role, err.text);
		return BF_EXIT_USAGE;
	}
	if (strcmp(ret_contract->build_id, bf_build_id()) != 0) {
		(void)fprintf(stderr,
			      "bifrost-%s: is of build %s, the supervisor of build %s: restart the "
			      "supervisor\n",
			      role, bf_build_id(), ret_contract->build_id);
		return BF_EXIT_VERSION;
	}
	return BF_EXIT_OK;
}

static void fill(struct bf_child *child, const struct bf_child_spec *spec,
		 const struct bf_contract *c)
{
	*child = (struct bf_child){
	    .spec = spec,
	    .endpoint = BF_ENDPOINT(c->role, c->index),
	    .index = c->index,
	    .proc_slot = c->proc_slot,
	    .workers = c->workers,
	    .addresses = c->addresses,
	    .segment_fd = BF_FD_SEGMENT,
	    .doorbell_fd = BF_FD_DOORBELL,
	    .state_dir = c->state_dir,
	    .runtime_dir = c->runtime_dir,
	    .started_mono_ms = bf_mono_ms(),
	};
	bf_arena_init_nodump(&child->arena, ARENA_MAX_BYTES);
	bf_arena_init(&child->scratch, SCRATCH_MAX_BYTES);
}

/* The slice holds secrets: it is mapped no-dump for as long as it takes to decode, and its
 * descriptor is closed. */
static int load_config(struct bf_child *child, struct bf_err *err)
{
	struct bf_err why = {0};
	const void *bytes;
	size_t len;
	int r = bf_memfd_map(BF_FD_CONFIG, &bytes, &len, err);

	if (r < 0)
		return r;
	r = bf_table_decode_mp(&bf_config_table, &child->config, (struct bf_slice){bytes, len},
			       &child->arena, &why);
	bf_memfd_unmap(bytes, len);
	(void)close(BF_FD_CONFIG);
	if (r < 0)
		return bf_err_set(err, r, "configuration from the supervisor: %s", why.text);
	return 0;
}

static int fail(int exit_code, const struct bf_err *err)
{
	bf_log(BF_LOG_ERROR, "child_failed", "exit=%d why=%s", exit_code, bf_log_quote(err->text));
	return exit_code;
}

static int give_up_rights(struct bf_child *child, const struct bf_contract *c)
{
	const struct bf_sandbox *sandbox = child->spec->sandbox;
	struct bf_err err = {0};

	if (bf_privdrop(c->user, &err) < 0)
		return fail(BF_EXIT_SANDBOX, &err);
	if (bf_core_limit_contents(&err) < 0)
		bf_log(BF_LOG_WARN, "core_contents", "why=%s", bf_log_quote(err.text));
	if (bf_deathwatch_arm(BF_FD_CHANNEL, &err) < 0)
		return fail(BF_EXIT_FAILED, &err);
	if (bf_sandbox_apply(sandbox, c->state_dir, c->runtime_dir, &child->sandbox, &err) < 0)
		return fail(BF_EXIT_SANDBOX, &err);
	bf_log(child->sandbox.landlock_abi > 0 ? BF_LOG_INFO : BF_LOG_WARN, "sandbox",
	       "landlock_abi=%d files=%d net=%d scope=%d", child->sandbox.landlock_abi,
	       child->sandbox.landlock_files, child->sandbox.landlock_net,
	       child->sandbox.landlock_scope);
	return BF_EXIT_OK;
}

static int start(struct bf_child *child, const struct bf_contract *c)
{
	struct bf_err err = {0};
	int r;

	if (load_config(child, &err) < 0)
		return fail(BF_EXIT_CONFIG, &err);
	r = child->spec->open == NULL ? 0 : child->spec->open(child, &err);
	if (r < 0)
		return fail(r == BF_E_VERSION ? BF_EXIT_VERSION : BF_EXIT_FAILED, &err);
	r = give_up_rights(child, c);
	return r == BF_EXIT_OK ? bf_child_run(child) : r;
}

int bf_child_main(int argc, char **argv, const struct bf_child_spec *spec)
{
	struct bf_contract contract;
	struct bf_child child;
	char name[24];
	int r;

	set_title(argc, argv, spec->role);
	r = read_contract(spec, &contract);
	if (r != BF_EXIT_OK)
		return r;
	fill(&child, spec, &contract);
	bf_log_init(bf_endpoint_format(child.endpoint, name), contract.log_level);
	bf_log_never_wait();
	r = start(&child, &contract);
	bf_arena_done(&child.scratch);
	bf_arena_done(&child.arena);
	return r;
}
