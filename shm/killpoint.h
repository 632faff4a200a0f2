/*
 * Places where a process may die: nothing in production; in the torture build (SHM_TORTURE) each
 * calls a hook of the test program, which may raise SIGKILL there.
 */
#pragma once

#ifdef SHM_TORTURE
void shm_killpoint(const char *name);
#define SHM_KILLPOINT(name) shm_killpoint(name)
#else
#define SHM_KILLPOINT(name) ((void)0)
#endif
