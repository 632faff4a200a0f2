/* The name ps(1) shows. */
#pragma once

/* Sets comm to name (cut to 15 bytes) and the command line to "name: detail" within the space of argv. Call first in main. */
void bf_title_set(int argc, char **argv, const char *name, const char *detail);
