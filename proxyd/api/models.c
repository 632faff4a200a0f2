/*
 * The parameters of questions about models. Called by the route table. Must never look at a model:
 * the gate knows which are served.
 */
#include "proxyd/gate/models.h"

#include "proxyd/api/handlers.h"
#include "proxyd/api/operations.h"
#include "proxyd/api/request.h"

static bool read_filter(struct exchange *x, struct models_filter *ret_filter)
{
	struct api_values values;

	if (!request_parameters(x, api_operation_of(x), &values))
		return false;
	*ret_filter = (struct models_filter){.provider = api_text(&values, "provider"),
					     .piece = api_text(&values, "query"),
					     .keys = api_text(&values, "keys"),
					     .unserved = api_number(&values, "unfiltered"),
					     .from = api_number(&values, "offset"),
					     .size = api_number(&values, "limit")};
	return true;
}

void api_models(struct exchange *x)
{
	struct models_filter filter;

	if (read_filter(x, &filter))
		models_list(x, &filter);
}

void api_model_details(struct exchange *x)
{
	struct models_filter filter;

	if (read_filter(x, &filter))
		models_details(x, &filter);
}

void api_base_models(struct exchange *x)
{
	struct models_filter filter;

	if (read_filter(x, &filter))
		models_base(x, &filter);
}

void api_model_parameters(struct exchange *x)
{
	struct api_values values;

	if (request_parameters(x, api_operation_of(x), &values))
		models_parameters(x, api_text(&values, "model"));
}
