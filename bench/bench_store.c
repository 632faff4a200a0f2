/*
 * How fast rows of 1 KB go into the logs store in SQLite (WAL, synchronous=FULL), for several batch
 * sizes: rows/s of wall time, which contains the fsyncs, and of CPU time, which is what one core
 * can do. Argument: the folder for the file (default: the temporary folder). Used by ./dev bench.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/rand.h"
#include "writerd/store/store_sqlite.h"

#define ROUND_NS   INT64_C(1500000000)
#define BATCH_MAX  2048u
#define INPUT_LEN  600
#define OUTPUT_LEN 250 /* with the columns: about 1 KB a row */

static struct shm_usage_record records[BATCH_MAX];
static struct store_item items[BATCH_MAX];
static char body[INPUT_LEN];

static int64_t cpu_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void fill(unsigned batch)
{
	for (unsigned i = 0; i < batch; i++) {
		struct bf_uuid id = bf_uuid7(bf_wall_ms());

		records[i] = (struct shm_usage_record){
		    .started_wall_ns = bf_wall_ns(),
		    .latency_us = 812345,
		    .first_byte_us = 212345,
		    .cost_nusd = 123456,
		    .prompt_tokens = 1234,
		    .completion_tokens = 321,
		    .status = SHM_USAGE_SUCCESS,
		    .object_type = 1,
		    .http_status = 200,
		    .attempts = 1,
		    .provider = "openai",
		    .model = "gpt-4o-mini",
		    .key_name = "primary",
		    .key_id = "0190aaaa-0000-7000-8000-000000000001",
		    .stop_reason = "stop",
		    .request_id = "0190aaaa-0000-7000-8000-000000000002",
		    .attempt_trail = "[[\"secondary\",429,112],[\"primary\",200,698]]",
		};
		memcpy(records[i].id, id.bytes, sizeof(id.bytes));
		items[i] = (struct store_item){&records[i], {body, INPUT_LEN}, {body, OUTPUT_LEN}};
	}
}

static int measure(struct store *store, unsigned batch)
{
	int64_t wall = bf_mono_ns(), cpu = cpu_ns(), rows = 0, batches = 0;
	struct row_scratch scratch;
	struct bf_err err = {0};
	double wall_s, cpu_s;

	row_scratch_init(&scratch);
	while (bf_mono_ns() - wall < ROUND_NS) {
		unsigned inserted = 0;

		fill(batch);
		if (store_write(store, items, batch, &scratch, NULL, &inserted, &err) < 0) {
			(void)fprintf(stderr, "%s\n", err.text);
			return -1;
		}
		rows += inserted;
		batches++;
	}
	wall_s = (double)(bf_mono_ns() - wall) / 1e9;
	cpu_s = (double)(cpu_ns() - cpu) / 1e9;
	(void)printf("batch %5u: %8.0f rows/s, %8.0f rows/s of CPU, %6.2f ms a batch\n", batch,
		     (double)rows / wall_s, (double)rows / cpu_s, wall_s * 1000 / (double)batches);
	row_scratch_done(&scratch);
	return 0;
}

static void remove_files(const char *folder, const char *path)
{
	static const char *const endings[] = {"", "-wal", "-shm"};
	char name[512];

	for (size_t i = 0; i < BF_ARRAY_LEN(endings); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, endings[i]);
		(void)unlink(name);
	}
	(void)rmdir(folder);
}

int main(int argc, char **argv)
{
	static const unsigned batches[] = {1, 32, 512, BATCH_MAX};
	const char *base = argc > 1 ? argv[1] : getenv("TMPDIR");
	char folder[384], path[448];
	struct store *store = NULL;
	struct bf_err err = {0};
	int r = 0;

	(void)snprintf(folder, sizeof(folder), "%.300s/bench-store-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(folder)) {
		perror(folder);
		return 1;
	}
	(void)snprintf(path, sizeof(path), "%s/logs.db", folder);
	memset(body, 'x', sizeof(body));
	if (store_sqlite_open(path, "0190aaaa-0000-7000-8000-000000000001", &store, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < BF_ARRAY_LEN(batches) && r == 0; i++)
		r = measure(store, batches[i]);
	store->ops->close(store);
	remove_files(folder, path);
	return r == 0 ? 0 : 1;
}
