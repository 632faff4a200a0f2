/* Wakes writerd through an eventfd, once per sleep: a worker writes to it only when the consumer
 * said it sleeps. */
#pragma once

#include <stdbool.h>

#include "shm/segment.h"

/* Consumer: announce the sleep, then look at the rings once more before really sleeping. */
void shm_doorbell_sleeping(struct shm_segment *seg, bool on);
/* Producer, after a push: writes to event_fd when the consumer sleeps. */
void shm_doorbell_ring(struct shm_segment *seg, int event_fd);
