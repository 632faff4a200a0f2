/* The name ps(1) shows. */
#pragma once

/*
 * Sets comm to name (cut to 15 bytes) and the command line to "name: detail" (or "name") within the
 * space of argv, whose strings are overwritten: read them before. name and detail must not lie in
 * argv.
 */
void bf_title_set(int argc, char **argv, const char *name, const char *detail);
