/* GET /v1/models. */
#pragma once

#include "proxyd/exchange.h"

void models_answer(struct exchange *x);
