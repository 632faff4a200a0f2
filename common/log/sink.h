/* Where lines go: standard error, without ever waiting for whoever reads it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* How descriptor 2 is kept from blocking. */
enum log_sink {
	LOG_SINK_PLAIN,  /* as it is: not looked at yet, or a file */
	LOG_SINK_OWN,    /* opened anew as a description of our own, non-blocking */
	LOG_SINK_SOCKET, /* each send asks not to wait */
	LOG_SINK_POLL,   /* a pipe that may not be opened anew: asked for room first */
};

enum log_sink log_sink_prepare(void);

/* One line, whole or not at all: the bound is what the reader's end holds. False: it is lost. A
 * socket may take a part of it; the next line then starts with a line end. */
bool log_sink_write(enum log_sink sink, const char *line, size_t len);
