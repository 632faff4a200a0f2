/* Points in time as clients write them. Called by logs_query.c. Must never depend on a time zone of
 * this machine. */
#include <string.h>

#include "common/base/err.h"
#include "common/base/num.h"
#include "common/base/wall.h"
#include "proxyd/gate/logs_query.h"

/* From here on a bare number counts milliseconds: as seconds it would be the year 5138. */
#define FIRST_MILLISECONDS INT64_C(100000000000)
#define LAST_MILLISECONDS  INT64_C(253402300800000) /* the year 10000 */

#define LONGEST_DATE 64u
#define ZONE_LEN     6u /* "+01:00" */

/* A plus sign that was not escaped arrives as a space. */
static int parse_date(struct bf_slice text, int64_t *ret_wall_ms)
{
	char date[LONGEST_DATE];

	if (text.len < ZONE_LEN || text.len > sizeof(date))
		return BF_E_SYNTAX;
	memcpy(date, text.ptr, text.len);
	if (date[text.len - ZONE_LEN] == ' ')
		date[text.len - ZONE_LEN] = '+';
	return bf_wall_parse_ms((struct bf_slice){date, text.len}, ret_wall_ms);
}

int logs_time_parse(struct bf_slice text, int64_t *ret_wall_ms)
{
	int64_t number;
	int r = bf_parse_i64(text, &number);

	if (r == BF_E_RANGE)
		return r;
	if (r < 0)
		return parse_date(text, ret_wall_ms);
	if (number < 0 || number >= LAST_MILLISECONDS)
		return BF_E_RANGE;
	*ret_wall_ms = number < FIRST_MILLISECONDS ? number * 1000 : number;
	return 0;
}
