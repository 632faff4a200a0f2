/*
 * Taking over a changed configuration file: all of it or nothing. Keys that need a start refuse it;
 * children whose slice changed are replaced one by one; if one successor does not become ready,
 * those already replaced go back.
 */
#pragma once

#include "supervisor/admin.h"
#include "supervisor/config.h"
#include "supervisor/roll.h"
#include "supervisor/slices.h"

struct reload_events {
	/* The reload ended; when ok, `now` is in force from here on (the reload keeps it alive). */
	void (*on_done)(void *owner, bool ok, const struct bf_config *now);
};

enum reload_phase {
	RELOAD_IDLE,
	RELOAD_READING,
	RELOAD_ROLLING,
	RELOAD_REVERTING,
};

struct reload {
	enum reload_phase phase;
	struct config_job job; /* its fields up to owner are set by reload_init's caller, on_done
				  and owner by reload_init */
	struct crew *crew;
	struct roll *roll; /* shared with restarts */
	struct admin *admin;
	const struct reload_events *events;
	void *owner;

	/* In force. The arenas change places with every reload that succeeds. */
	struct bf_config *now;
	struct bf_arena arenas[2];
	struct bf_config configs[2];
	unsigned at; /* which of both is in force */
	struct slices slices, trial;

	bool again;                /* SIGHUP came meanwhile */
	struct admin_ticket asker; /* who waits for the answer, if anybody */
	struct bf_err why;         /* of the failure that is being reverted */
};

/* Holds nothing yet; reload_done may follow. */
void reload_prepare(struct reload *r);

/* Takes over what the start has read: the bundle's slices and the decoded own one. */
int reload_init(struct reload *r, const struct bf_bundle *bundle, struct bf_err *err);
void reload_done(struct reload *r);

/* asker NULL: SIGHUP. Answers by itself, at once or when it is over. */
void reload_request(struct reload *r, const struct admin_ticket *asker);
/* roll->on_done while a reload rolls. */
void reload_on_roll(struct reload *r, const struct seat *failed, const struct bf_err *err);
