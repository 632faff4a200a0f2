/* The handlers that operations.c names. Each runs in state GATE and answers, now or later. */
#pragma once

#include "proxyd/exchange.h"

void api_look(struct exchange *x);   /* a page, or one entity: asks the reader */
void api_quota(struct exchange *x);  /* the same of the virtual key that the request carries */
void api_change(struct exchange *x); /* asks writerd */
void api_rotate(struct exchange *x); /* asks it once for each of several keys */
#define ROTATE_MAX 100u
void api_refresh_models(struct exchange *x); /* asks a provider, then writerd */
void api_price_sync(struct exchange *x);     /* asks the reader */

void api_login(struct exchange *x);
void api_logout(struct exchange *x);
void api_is_auth_enabled(struct exchange *x);

void api_logs_filterdata(struct exchange *x);
void api_logs_dropped(struct exchange *x);

void api_models(struct exchange *x);
void api_model_details(struct exchange *x);
void api_model_parameters(struct exchange *x);
void api_base_models(struct exchange *x);
void api_version(struct exchange *x);
void api_config(struct exchange *x);
void api_openapi(struct exchange *x);
