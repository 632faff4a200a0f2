/* The migrations of both stores as data: version by version, append only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct schema_step {
	uint32_t version; /* 1, 2, 3 ... without gaps */
	const char *name;
	const char
	    *sql; /* one or more statements, run in one transaction with the note that they ran */
};

struct schema {
	const char *store; /* the block of the configuration file that names the database */
	const struct schema_step *steps;
	size_t count; /* also the version that this build writes */
};

extern const struct schema schema_logs;
extern const struct schema schema_config;
