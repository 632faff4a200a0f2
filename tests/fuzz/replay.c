/* Feeds every file of the given folders to a fuzz target: a corpus is a regression test. Exits 1
 * when it finds no file. */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return -1;
	static uint8_t bytes[1 << 20];
	size_t len = fread(bytes, 1, sizeof(bytes), f);
	(void)fclose(f);

	/* A heap copy of the exact size lets ASan see a read past the end. */
	uint8_t *copy = malloc(len ? len : 1);
	if (!copy)
		abort();
	for (size_t i = 0; i < len; i++)
		copy[i] = bytes[i];
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long fed = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		if (!dir) {
			(void)fprintf(stderr, "replay: cannot open %s\n", argv[i]);
			return 1;
		}
		for (struct dirent *e; (e = readdir(dir));) {
			char path[PATH_MAX];
			if (e->d_name[0] == '.')
				continue;
			int n = snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
			if (n < 0 || (size_t)n >= sizeof(path) || feed_file(path) < 0)
				return 1;
			fed++;
		}
		(void)closedir(dir);
	}
	(void)printf("%lu inputs replayed\n", fed);
	return fed ? 0 : 1;
}
