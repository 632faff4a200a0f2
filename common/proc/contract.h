/*
 * The contract between the supervisor and a child: descriptors at fixed numbers and environment
 * names. Nothing else is inherited. A child started without it says so and exits 64.
 */
#pragma once

enum bf_fd {
	BF_FD_CHANNEL = 3, /* control channel, SOCK_SEQPACKET */
	BF_FD_SEGMENT = 4, /* shared segment, read-write */
	BF_FD_CONFIG = 5,  /* sealed memfd: struct bf_config as msgpack, this child's slice */
	BF_FD_LOCK =
	    6, /* the runtime folder's lock: held open so that it outlives a dead supervisor */
	BF_FD_DOORBELL = 7, /* eventfd that wakes writerd */
	BF_FD_LISTEN = 8,   /* first listener: worker slot s, address a is at BF_FD_LISTEN + s *
			       addresses + a (proxyd only) */
};

#define BF_ENV_ROLE        "BIFROST_ROLE"      /* "proxyd" ... */
#define BF_ENV_INDEX       "BIFROST_INDEX"     /* worker slot; 0 for others */
#define BF_ENV_PROC_SLOT   "BIFROST_PROC_SLOT" /* identity in the segment */
#define BF_ENV_BUILD_ID    "BIFROST_BUILD_ID"  /* must equal the child's own */
#define BF_ENV_WORKERS     "BIFROST_WORKERS"   /* number of worker slots */
#define BF_ENV_ADDRESSES   "BIFROST_ADDRESSES" /* listen addresses per slot */
#define BF_ENV_USER        "BIFROST_USER"      /* drop to this user; empty: stay */
#define BF_ENV_STATE_DIR   "BIFROST_STATE_DIR"
#define BF_ENV_RUNTIME_DIR "BIFROST_RUNTIME_DIR"
#define BF_ENV_LOG_LEVEL   "BIFROST_LOG_LEVEL"

enum bf_exit {
	BF_EXIT_OK = 0,
	BF_EXIT_FAILED = 1,
	BF_EXIT_USAGE = 64,   /* wrong command line or started by hand */
	BF_EXIT_CONFIG = 78,  /* the configuration cannot be used */
	BF_EXIT_VERSION = 76, /* build or layout mismatch */
	BF_EXIT_SANDBOX = 77, /* the sandbox could not be applied */
	BF_EXIT_RUNNING = 75, /* another supervisor holds the folder */
};
