/*
 * loadgen: HTTP requests at a constant rate, or as fast as they are answered, and what came of
 * them. Started by tests and benchmarks. Exit codes: 0, 1 it could not run, 3 the rate was not
 * kept.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/loadgen/load.h"

int main(int argc, char **argv)
{
	struct bf_err err = {0};
	struct options options;
	struct load *l;
	bool kept = false;
	int r;

	if (options_read(&options, argc, argv) != 0)
		return 64;
	l = calloc(1, sizeof(*l)); /* its histograms are large */
	if (!l)
		return 1;
	l->options = &options;
	r = load_run(l, &err);
	if (r == 0)
		kept = report_print(l);
	if (r == 0 && options.json)
		r = report_json(l, &err);
	if (r < 0)
		fprintf(stderr, "loadgen: %s\n", err.text);
	load_done(l);
	free(l);
	return r < 0 ? 1 : kept ? 0 : 3;
}
