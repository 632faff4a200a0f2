/* env.NAME and file.PATH: found, missing, malformed; what they resolve to is never shown. */
#include "load_bed.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROQ(value) "providers: {groq: {keys: [{name: a, value: " value "}]}}\n"

static void any_scalar_may_be_a_reference(void **state)
{
	struct load_bed b;

	(void)state;
	assert_string_equal(
	    bed_load(&b, "server: {max_connections: env.PORT, read_buffer_size: env.PORT}\n" GROQ(
			     "env.KEY")),
	    "");
	assert_int_equal(b.config.server.max_connections, 8081);
	assert_int_equal(b.config.server.read_buffer_size_bytes, 8081);
	bed_done(&b);
	bed_accepts(GROQ("'file./etc/secret'"));
	bed_mentions("server: {listen: [env.KEY]}\n" MOCK, "server.listen: must be HOST:PORT");
}

static void missing_and_malformed(void **state)
{
	(void)state;
	bed_says(GROQ("env.NOPE"), "x.yaml:1:44: error: providers.groq.keys[0].value: environment "
				   "variable NOPE is not set: "
				   "set it before the start, or write the value\n");
	bed_says(GROQ("env."), "x.yaml:1:44: error: providers.groq.keys[0].value: \"env.\" names "
			       "no environment variable: "
			       "write env.NAME with letters, digits and _\n");
	bed_mentions(GROQ("env.1X"), "names no environment variable");
	bed_mentions(GROQ("env.A-B"), "names no environment variable");
	bed_mentions(GROQ("\"env.A\\0B\""), "a reference must not contain a zero byte");
	bed_says(
	    GROQ("file./etc/nope"),
	    "x.yaml:1:44: error: providers.groq.keys[0].value: cannot read the file "
	    "\"/etc/nope\": No such file or directory: mend path or rights, or write the value\n");
	bed_mentions(GROQ("file./etc/forbidden"), "\"/etc/forbidden\": Permission denied");
	bed_mentions(GROQ("file./etc/huge"), "\"/etc/huge\": larger than 1 MiB");
	bed_mentions(GROQ("file."), "cannot read the file");
	bed_mentions(GROQ("env.EMPTY"),
		     "keys[0].value is empty: give the secret or set enabled: false");
	bed_mentions(GROQ("env.LATIN1"), "what \"env.LATIN1\" refers to is not UTF-8 text");
}

static void relative_paths_start_at_the_file(void **state)
{
	static const char yaml[] = GROQ("file.secret");
	struct load_bed b;

	(void)state;
	bed_load_bytes(&b, "conf/x.yaml", yaml, sizeof(yaml) - 1);
	assert_int_equal(b.result, 0);
	bed_done(&b);
	bed_load_bytes(&b, "/x.yaml", yaml, sizeof(yaml) - 1);
	assert_non_null(strstr(b.text.data, "\"//secret\""));
	bed_done(&b);
	bed_load_bytes(&b, "/etc/x.yaml", yaml, sizeof(yaml) - 1);
	assert_int_equal(b.result, 0);
	bed_done(&b);
}

static void secrets_stay_hidden(void **state)
{
	static const char *const texts[] = {
	    "server: {max_connections: env.KEY}\n",
	    "server: {idle_timeout: env.KEY}\n",
	    "server: {listen: env.KEY}\n",
	    "server: {body_memory: env.KEY}\n",
	    "logs_store: {type: env.KEY}\n",
	    "client: {enable_logging: env.KEY}\n",
	    "server: {max_connections: file./etc/secret}\n",
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		struct load_bed b;
		const char *text = bed_load(&b, texts[i]);

		assert_int_not_equal(b.result, 0);
		assert_null(strstr(text, "hunter"));
		bed_done(&b);
	}
}

/* Keys are names, not values. */
static void keys_are_not_resolved(void **state)
{
	(void)state;
	bed_mentions("providers: {env.KEY: {network_config: {base_url: 'http://localhost'}}}\n",
		     "may hold a-z");
	bed_mentions("env.KEY: 1\n" MOCK, "unknown key \"env.KEY\"");
}

static int read_system(const char *path, struct bf_arena *arena, struct bf_slice *text)
{
	return bf_config_env_system.read_file(bf_config_env_system.ctx, path, arena, text);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	(void)close(fd);
}

static void the_real_environment(void **state)
{
	char dir[] = "/tmp/bf-resolve-XXXXXX", path[64];
	char *huge = calloc(1, (1 << 20) + 1);
	struct bf_arena arena;
	struct bf_slice text;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/f", dir);
	bf_arena_init(&arena, 8 << 20);
	write_file(path, "line\n\n", 6);
	assert_int_equal(read_system(path, &arena, &text), 0);
	assert_string_equal(text.ptr, "line\n");
	write_file(path, "", 0);
	assert_int_equal(read_system(path, &arena, &text), 0);
	assert_int_equal(text.len, 0);
	write_file(path, huge, 1 << 20);
	assert_int_equal(read_system(path, &arena, &text), 0);
	write_file(path, huge, (1 << 20) + 1);
	assert_int_equal(read_system(path, &arena, &text), -EFBIG);
	(void)unlink(path);
	assert_int_equal(read_system(path, &arena, &text), -ENOENT);
	assert_int_equal(read_system(dir, &arena, &text), -EISDIR);
	/* Would block for ever without a writer. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(read_system(path, &arena, &text), -EINVAL);
	(void)unlink(path);
	(void)rmdir(dir);
	assert_int_equal(setenv("BF_TEST_RESOLVE", "x", 1), 0);
	assert_string_equal(bf_config_env_system.get_env(NULL, "BF_TEST_RESOLVE"), "x");
	assert_null(bf_config_env_system.get_env(NULL, "BF_TEST_RESOLVE_NOT"));
	free(huge);
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_scalar_may_be_a_reference),
	    cmocka_unit_test(missing_and_malformed),
	    cmocka_unit_test(relative_paths_start_at_the_file),
	    cmocka_unit_test(secrets_stay_hidden),
	    cmocka_unit_test(keys_are_not_resolved),
	    cmocka_unit_test(the_real_environment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
