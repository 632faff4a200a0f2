/*
 * bifrost-config: the throw-away process that reads configuration files, so that the supervisor
 * never parses one. Started by the supervisor (--serve: file on fd 0, bundle to fd 3), by
 * bifrostctl check and by the build. Must give up its rights and limit itself before the first byte
 * is parsed, and must never print a secret.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/proc/contract.h"
#include "common/proc/privdrop.h"
#include "common/proc/sandbox.h"
#include "common/schema/describe.h"
#include "common/schema/load.h"
#include "supervisor/config_certs.h"
#include "supervisor/config_sheet.h"

#define BUNDLE_FD        3
#define MEMORY_MAX_BYTES ((rlim_t)512 << 20)
#define ARENA_MAX_BYTES  ((size_t)256 << 20)
#define CPU_MAX_SECONDS  10
#define TEXT_MAX_BYTES   ((size_t)1 << 20)

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

static int fail(int code, const struct bf_err *err)
{
	(void)fprintf(stderr, "bifrost-config: %s\n", err->text);
	return code;
}

static int set_limit(__rlimit_resource_t resource, rlim_t value, struct bf_err *err)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return bf_err_sys(err, -errno, "getrlimit");
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < value)
		value = limit.rlim_max;
	limit.rlim_cur = value;
	limit.rlim_max = value;
	if (setrlimit(resource, &limit) < 0)
		return bf_err_sys(err, -errno, "setrlimit");
	return 0;
}

/* A file made to hurt ends this process, and nothing else. */
static int limit_self(struct bf_err *err)
{
	int r = set_limit(RLIMIT_CPU, CPU_MAX_SECONDS, err);

#ifndef SANITIZED
	/* The sanitizers reserve terabytes of addresses. */
	if (r == 0)
		r = set_limit(RLIMIT_AS, MEMORY_MAX_BYTES, err);
#endif
	/* The file may hold keys: no core, no ptrace. */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = bf_err_sys(err, -errno, "prctl");
	return r;
}

static int confine(struct bf_err *err)
{
	static const struct bf_sandbox_path paths[] = {{"/", BF_PATH_READ}, {NULL, 0}};
	static const struct bf_sandbox sandbox = {.groups = BF_SYS_BASE | BF_SYS_FILES,
						  .paths = paths};
	struct bf_sandbox_report report;
	int r = bf_privdrop(getenv(BF_ENV_USER), err);

	if (r < 0)
		return r;
	/* A change of user may have reset it. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return bf_err_sys(err, -errno, "prctl");
	return bf_sandbox_apply(&sandbox, NULL, NULL, &report, err);
}

/* Reads one byte more than allowed at most: enough for the loader to refuse it. */
static int read_file(int fd, struct bf_buf *file)
{
	for (;;) {
		size_t room = BF_CONFIG_MAX_BYTES + 1 - bf_buf_len(file);
		int r = room ? bf_buf_reserve(file, BF_MIN(room, (size_t)65536)) : 0;

		if (room == 0 || r < 0)
			return r;
		ssize_t n = read(fd, file->data + file->end, BF_MIN(room, (size_t)65536));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		file->end += (size_t)n;
	}
}

static int write_all(int fd, struct bf_slice bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes = (struct bf_slice){bytes.ptr + n, bytes.len - (size_t)n};
	}
	return 0;
}

static const char *installed_sheet = "";

/* One load, with everything it needs and leaves behind. */
struct job {
	struct bf_arena arena;
	struct bf_buf file;
	struct bf_buf text; /* diagnostics */
	struct bf_config config;
	int result;
};

static void job_init(struct job *job)
{
	memset(job, 0, sizeof(*job));
	bf_arena_init_nodump(&job->arena, ARENA_MAX_BYTES);
	bf_buf_init_nodump(&job->file, BF_CONFIG_MAX_BYTES + 65536);
	bf_buf_init(&job->text, TEXT_MAX_BYTES);
}

static void job_done(struct job *job)
{
	bf_buf_done(&job->text);
	bf_buf_done(&job->file);
	bf_arena_done(&job->arena);
}

static void job_run(struct job *job, const char *name, int fd)
{
	struct bf_diags diags;
	int r = fd < 0 ? fd : read_file(fd, &job->file);

	if (r < 0) {
		job->result = r;
		(void)!bf_buf_printf(&job->text,
				     "%s: error: cannot read it: %s: mend path or rights\n", name,
				     bf_err_text(r));
		return;
	}
	job->result = bf_config_load(bf_slice_from(name), bf_buf_slice(&job->file),
				     &bf_config_env_system, &job->arena, &job->config, &diags);
	r = bf_diags_print(&diags, &job->text);
	if (r == 0 && job->result == 0) {
		r = config_certs_check(&job->config, name, &job->text);
		job->result = r > 0 ? BF_E_SYNTAX : 0;
	}
	if (r >= 0 && job->result == 0) {
		r = config_sheet_load(&job->config, name, installed_sheet, &job->arena, &job->text);
		job->result = r > 0 ? BF_E_SYNTAX : 0;
	}
	if (r < 0 && job->result == 0)
		job->result = r;
}

static int encode_slice(const struct job *job, uint16_t audience, struct bf_buf *buf,
			struct bf_slice *ret)
{
	bf_buf_init_nodump(buf, BF_BUNDLE_MAX_BYTES);
	int r = bf_table_encode_mp(&bf_config_table, &job->config, audience, buf);
	*ret = bf_buf_slice(buf);
	return r;
}

static int encode_bundle(const struct job *job, struct bf_buf *out)
{
	struct bf_bundle bundle = {.ok = job->result == 0, .diagnostics = bf_buf_slice(&job->text)};
	const struct {
		uint16_t audience;
		struct bf_slice *slice;
	} parts[] = {
	    {BF_FOR_SUPERVISOR, &bundle.for_supervisor},
	    {BF_FOR_PROXYD, &bundle.for_proxyd},
	    {BF_FOR_CLUSTERD, &bundle.for_clusterd},
	    {BF_FOR_DISCOVERYD, &bundle.for_discoveryd},
	    {BF_FOR_WRITERD, &bundle.for_writerd},
	};
	struct bf_buf bufs[BF_ARRAY_LEN(parts)];
	int r = 0;

	memset(bufs, 0, sizeof(bufs));
	for (size_t i = 0; bundle.ok && r == 0 && i < BF_ARRAY_LEN(parts); i++)
		r = encode_slice(job, parts[i].audience, &bufs[i], parts[i].slice);
	if (r == 0)
		r = bf_table_encode_mp(&bf_bundle_table, &bundle, 0, out);
	for (size_t i = 0; i < BF_ARRAY_LEN(bufs); i++)
		bf_buf_done(&bufs[i]);
	return r;
}

/* 0 once a whole bundle was written, whatever it says. */
static int serve(const char *name)
{
	struct bf_err err = {.code = 0};
	struct bf_buf out;
	struct job job;

	if (fcntl(BUNDLE_FD, F_GETFD) < 0) {
		(void)bf_err_set(&err, -EBADF, "--serve is for the supervisor: use --check FILE");
		return fail(BF_EXIT_USAGE, &err);
	}
	if (confine(&err) < 0)
		return fail(BF_EXIT_SANDBOX, &err);
	job_init(&job);
	job_run(&job, name, STDIN_FILENO);
	bf_buf_init_nodump(&out, BF_BUNDLE_MAX_BYTES);
	int r = encode_bundle(&job, &out);
	if (r == 0)
		r = write_all(BUNDLE_FD, bf_buf_slice(&out));
	bf_buf_done(&out);
	job_done(&job);
	if (r == 0)
		return BF_EXIT_OK;
	(void)bf_err_sys(&err, r, "%s: cannot hand over the configuration", name);
	return fail(BF_EXIT_FAILED, &err);
}

static int check(const char *name)
{
	struct job job;
	int fd = STDIN_FILENO;

	if (strcmp(name, "-") != 0)
		fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	job_init(&job);
	job_run(&job, name, fd < 0 ? -errno : fd);
	int r = write_all(STDERR_FILENO, bf_buf_slice(&job.text));
	int code = job.result == 0 ? BF_EXIT_OK : BF_EXIT_CONFIG;
	if (fd > STDERR_FILENO)
		(void)close(fd);
	job_done(&job);
	return r < 0 ? BF_EXIT_FAILED : code;
}

static int print(int (*describe)(const struct bf_table *, struct bf_buf *))
{
	struct bf_err err;
	struct bf_buf out;

	bf_buf_init(&out, TEXT_MAX_BYTES);
	int r = describe(&bf_config_table, &out);
	if (r == 0)
		r = write_all(STDOUT_FILENO, bf_buf_slice(&out));
	bf_buf_done(&out);
	if (r == 0)
		return BF_EXIT_OK;
	(void)bf_err_sys(&err, r, "cannot write");
	return fail(BF_EXIT_FAILED, &err);
}

static int usage(void)
{
	(void)fprintf(
	    stderr,
	    "usage: bifrost-config --check FILE | --dump-schema | --describe mdoc|markdown\n");
	return BF_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct bf_err err;
	const char *mode = argc > 1 ? argv[1] : "";
	const char *operand = argc == 3 ? argv[2] : NULL;

	(void)signal(SIGPIPE, SIG_IGN);
	/* Run by descriptor, its name would be a number. */
	(void)prctl(PR_SET_NAME, "bifrost-config", 0, 0, 0);
	installed_sheet = config_sheet_find();
	if (limit_self(&err) < 0)
		return fail(BF_EXIT_FAILED, &err);
	if (operand && strcmp(mode, "--serve") == 0)
		return serve(operand);
	if (operand && strcmp(mode, "--check") == 0)
		return check(operand);
	if (argc == 2 && strcmp(mode, "--dump-schema") == 0)
		return print(bf_describe_json_schema);
	if (operand && strcmp(mode, "--describe") == 0 && strcmp(operand, "mdoc") == 0)
		return print(bf_describe_mdoc);
	if (operand && strcmp(mode, "--describe") == 0 && strcmp(operand, "markdown") == 0)
		return print(bf_describe_markdown);
	return usage();
}
