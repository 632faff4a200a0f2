/* What may stand behind the '?' of an operation, by kinds of operations. */
#pragma once

#include "proxyd/api/parameters.h"

#define QUERY_PAGE_DEFAULT 50u /* entities, where a client does not say how many */

extern const struct api_parameter query_change[];
extern const struct api_parameter query_reset[];
extern const struct api_parameter query_show[];
extern const struct api_parameter query_config[];
extern const struct api_parameter query_page[];
extern const struct api_parameter query_page_of_providers[];
extern const struct api_parameter query_page_of_keys[];
extern const struct api_parameter query_page_of_teams[];
extern const struct api_parameter query_page_of_models[];
extern const struct api_parameter query_page_of_prices[];
extern const struct api_parameter query_page_of_limits[];
extern const struct api_parameter query_logs[];
extern const struct api_parameter query_stats[];
extern const struct api_parameter query_filterdata[];
extern const struct api_parameter query_models[];
extern const struct api_parameter query_details[];
extern const struct api_parameter query_base[];
extern const struct api_parameter query_one_model[];
extern const struct api_parameter query_sync[];
extern const struct api_parameter query_explain[];
