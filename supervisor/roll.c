/*
 * One seat at a time, for restart and reload. Must never have two seats without their process at
 * once: at any moment all but one worker serve.
 */
#include "supervisor/roll.h"

#include <unistd.h>

#include "common/base/err.h"

void roll_clear(struct roll *roll)
{
	for (uint32_t i = 0; i < roll->count; i++) {
		if (roll->steps[i].config_fd >= 0)
			(void)close(roll->steps[i].config_fd);
	}
	roll->count = roll->at = 0;
	roll->running = false;
}

int roll_add(struct roll *roll, struct seat *seat, int config_fd)
{
	int own = config_fd < 0 ? -1 : slices_dup(config_fd);

	if (config_fd >= 0 && own < 0)
		return own;
	roll->steps[roll->count++] = (struct roll_step){.seat = seat, .config_fd = own};
	return 0;
}

static void finish(struct roll *roll, const struct seat *failed, const struct bf_err *err)
{
	roll->running = false;
	roll->on_done(roll, failed, err);
}

static void start_one(struct roll *roll)
{
	struct bf_err err = {0};
	struct roll_step *step;

	if (roll->at == roll->count) {
		finish(roll, NULL, &err);
		return;
	}
	step = &roll->steps[roll->at];
	if (crew_roll(step->seat, step->config_fd, &err) < 0)
		finish(roll, step->seat, &err);
}

void roll_start(struct roll *roll)
{
	roll->at = 0;
	roll->running = true;
	start_one(roll);
}

void roll_on_seat(struct roll *roll, struct seat *seat, bool ok)
{
	struct bf_err err = {0};
	char name[24];

	if (!roll->running || roll->at >= roll->count || roll->steps[roll->at].seat != seat)
		return;
	if (ok) {
		roll->at++;
		start_one(roll);
		return;
	}
	(void)bf_err_set(&err, BF_E_STATE,
			 "%s: its successor did not become ready (%s): see the log",
			 bf_endpoint_format(seat_endpoint(seat), name),
			 seat->last_exit[0] ? seat->last_exit : "no reason known");
	finish(roll, seat, &err);
}
