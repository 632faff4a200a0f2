/*
 * Runs bifrost-config and collects its bundle. Used at start and by reload.c. Must never parse the
 * file itself, wait without a deadline, or leave secrets in memory that a core dump shows.
 */
#include "supervisor/config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "supervisor/environment.h"
#include "supervisor/spawn.h"

#define READ_STEP         65536u
#define ENVIRONMENT_BYTES (4u << 20)

static void stop_watching(struct config_job *job)
{
	ev_io_stop(job->loop, &job->reader);
	if (job->pipe >= 0)
		(void)close(job->pipe);
	job->pipe = -1;
}

static int decode(struct config_job *job, struct bf_bundle *bundle, struct bf_arena *arena,
		  struct bf_err *err)
{
	char how[80];
	int r;

	if (job->timed_out)
		return bf_err_set(err, BF_E_TIMEOUT, "%s: could not be read within %d s", job->file,
				  (int)CONFIG_DEADLINE_S);
	if (bf_buf_len(&job->bytes) == 0)
		return bf_err_set(err, BF_E_CLOSED,
				  "%s: bifrost-config ended without an answer (%s)", job->file,
				  spawn_exit_text(job->wait_status, how, sizeof(how)));
	r = bf_table_defaults(&bf_bundle_table, bundle, arena);
	if (r == 0)
		r = bf_table_decode_mp(&bf_bundle_table, bundle, bf_buf_slice(&job->bytes), arena,
				       err);
	if (r < 0)
		return bf_err_set(err, r,
				  "%s: bifrost-config's answer cannot be read (%s): are the "
				  "programs of one build?",
				  job->file, spawn_exit_text(job->wait_status, how, sizeof(how)));
	return 0;
}

/* Both the pipe and the process have ended. */
static void finish(struct config_job *job)
{
	struct bf_bundle bundle;
	struct bf_arena arena;
	struct bf_err err = {0};
	struct bf_buf bytes;
	int r;

	if (job->pid != 0 || job->pipe >= 0)
		return;
	ev_timer_stop(job->loop, &job->deadline);
	memset(&bundle, 0, sizeof(bundle));
	bf_arena_init_nodump(&arena, CONFIG_ARENA_BYTES);
	r = decode(job, &bundle, &arena, &err);
	/* The callback may start the next job. */
	bytes = job->bytes;
	job->running = false;
	job->on_done(job, r, &bundle, &err);
	bf_buf_done(&bytes);
	bf_arena_done(&arena);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct config_job *job = w->data;
	ssize_t n;

	(void)loop;
	(void)revents;
	if (bf_buf_reserve(&job->bytes, READ_STEP) < 0) {
		/* Larger than a bundle can be: what came is no answer. */
		bf_buf_clear(&job->bytes);
		stop_watching(job);
		finish(job);
		return;
	}
	n = read(job->pipe, job->bytes.data + job->bytes.end, READ_STEP);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		job->bytes.end += (size_t)n;
		return;
	}
	stop_watching(job);
	finish(job);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct config_job *job = w->data;

	(void)loop;
	(void)revents;
	job->timed_out = true;
	if (job->pid > 0)
		(void)kill(job->pid, SIGKILL);
	stop_watching(job);
	finish(job);
}

bool config_job_reaped(struct config_job *job, pid_t pid, int wait_status)
{
	if (!job->running || job->pid != pid)
		return false;
	job->pid = 0;
	job->wait_status = wait_status;
	finish(job);
	return true;
}

static pid_t spawn_helper(struct config_job *job, int file, int pipe_out, struct bf_err *err)
{
	char name[] = "bifrost-config", serve[] = "--serve";
	char path[4096];
	char *argv[] = {name, serve, path, NULL};
	struct bf_arena arena;
	struct spawn s = {.name = name,
			  .binary = job->helper,
			  .argv = argv,
			  .stdin_fd = file,
			  .fds = &pipe_out,
			  .fd_count = 1};
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s", job->file);
	bf_arena_init(&arena, ENVIRONMENT_BYTES);
	s.envp = environment_of_config_helper(job->user, job->inherited_env, &arena);
	pid = s.envp ? spawn_process(&s, err)
		     : bf_err_set(err, -ENOMEM, "%s: no memory for its environment", name);
	bf_arena_done(&arena);
	return pid;
}

static int open_file(const char *path, struct bf_err *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return bf_err_sys(
		    err, -errno, "%s: configuration cannot be opened (name it with -c FILE)", path);
	/* A pipe is fine (bash's <(...)); a folder is not. */
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode) || fcntl(fd, F_SETFL, 0) < 0) {
		(void)close(fd);
		return bf_err_set(err, BF_E_TYPE,
				  "%s: configuration is not a file (name it with -c FILE)", path);
	}
	return fd;
}

static int launch(struct config_job *job, int file, struct bf_err *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return bf_err_sys(err, -errno, "bifrost-config: pipe");
	pid = spawn_helper(job, file, ends[1], err);
	(void)close(ends[1]);
	if (pid < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) {
		(void)close(ends[0]);
		return pid < 0 ? (int)pid : bf_err_sys(err, -errno, "bifrost-config: fcntl");
	}
	job->pid = pid;
	job->pipe = ends[0];
	return 0;
}

int config_job_start(struct config_job *job, struct bf_err *err)
{
	int r, file;

	if (job->running)
		return bf_err_set(err, BF_E_STATE, "%s: is being read already", job->file);
	file = open_file(job->file, err);
	if (file < 0)
		return file;
	job->timed_out = false;
	job->wait_status = 0;
	r = launch(job, file, err);
	(void)close(file);
	if (r < 0)
		return r;
	bf_buf_init_nodump(&job->bytes, BF_BUNDLE_MAX_BYTES);
	job->running = true;
	ev_io_init(&job->reader, on_readable, job->pipe, EV_READ);
	ev_timer_init(&job->deadline, on_deadline, CONFIG_DEADLINE_S, 0.);
	job->reader.data = job->deadline.data = job;
	ev_now_update(job->loop);
	ev_io_start(job->loop, &job->reader);
	ev_timer_start(job->loop, &job->deadline);
	return 0;
}

void config_job_cancel(struct config_job *job)
{
	if (!job->running)
		return;
	if (job->pid > 0) {
		(void)kill(job->pid, SIGKILL);
		(void)waitpid(job->pid, NULL, 0);
	}
	stop_watching(job);
	ev_timer_stop(job->loop, &job->deadline);
	bf_buf_done(&job->bytes);
	job->running = false;
}

int config_decode_own(const struct bf_bundle *bundle, struct bf_arena *arena,
		      struct bf_config *ret_config, struct bf_err *err)
{
	int r = bf_table_defaults(&bf_config_table, ret_config, arena);

	if (r < 0)
		return bf_err_sys(err, r, "configuration: defaults");
	return bf_table_decode_mp(&bf_config_table, ret_config, bundle->for_supervisor, arena, err);
}
