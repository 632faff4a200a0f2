/* Between provider.c and provider_net.c. */
#pragma once

#include "proxyd/provider/provider.h"

/* Closes the sets that nobody holds. */
void provider_sets_bury(struct provider_net *net);
