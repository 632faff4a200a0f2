/* Writes seeds of fuzz_snapshot into a folder: a base and an overlay with some of everything, an
 * empty one. Run by hand when the format changes. */
#include <fcntl.h>
#include <stdio.h>

#include "tests/support/snapshot_of.h"

#define TEXT(s) BF_SLICE_INIT(s)

static struct bf_conf_budget budget = {
    .id = TEXT("b"), .max_limit_nusd = 5, .reset_duration = TEXT("1h"), .quarter_start_month = 1};
static struct bf_conf_rate_limit rate = {.id = TEXT("r"), .concurrent_max_limit = 1};
static struct bf_conf_customer customer = {{.id = TEXT("c"), .name = TEXT("C")}};
static struct bf_conf_team team = {{.id = TEXT("t"), .name = TEXT("T"), .rate_limit_id = TEXT("r")},
				   TEXT("c")};
static struct bf_conf_virtual_key key = {
    .own = {.id = TEXT("k"), .name = TEXT("K"), .budgets = {&budget, 1}},
    .value = TEXT("sk-bf-1"),
    .team_id = TEXT("t")};
static struct bf_conf_model_config own_model = {.own = {.id = TEXT("m")},
						.model_name = TEXT("gpt"),
						.scope = BF_MODEL_VIRTUAL_KEY,
						.scope_id = TEXT("k")};
static struct bf_conf_model_config model = {.own = {.id = TEXT("g"), .rate_limit_id = TEXT("r")},
					    .model_name = TEXT("gpt")};
static struct bf_conf_provider_limits provider = {
    {.id = TEXT("openai"), .name = TEXT("openai"), .budgets = {&budget, 1}}};

static void save(const char *folder, const char *name, int fd)
{
	char path[512], bytes[8192];
	ssize_t n = pread(fd, bytes, sizeof(bytes), 0);
	FILE *f;

	(void)close(fd);
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "wb");
	if (!f || n <= 0 || fputc(1, f) == EOF || fwrite(bytes, 1, (size_t)n, f) != (size_t)n ||
	    fclose(f) != 0)
		abort();
}

static struct bf_snapshot_builder *whole(bool is_overlay)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(is_overlay, 7);

	snapshot_of_add(b, BF_ENTITY_CUSTOMER, &customer, 1);
	snapshot_of_add(b, BF_ENTITY_TEAM, &team, 2);
	snapshot_of_add(b, BF_ENTITY_RATE_LIMIT, &rate, 3);
	snapshot_of_add(b, BF_ENTITY_VIRTUAL_KEY, &key, 4);
	snapshot_of_add(b, BF_ENTITY_MODEL_CONFIG, &own_model, 5);
	snapshot_of_add(b, BF_ENTITY_MODEL_CONFIG, &model, 6);
	snapshot_of_add(b, BF_ENTITY_PROVIDER_LIMITS, &provider, 7);
	return b;
}

int main(int argc, char **argv)
{
	struct bf_snapshot_builder *b;
	struct bf_entity gone = {
	    .type = BF_ENTITY_TEAM, .flags = BF_ENTITY_DELETED, .version = 9, .id = TEXT("old")};

	if (argc != 2)
		return 2;
	save(argv[1], "base", snapshot_of_finish(whole(false)));
	b = whole(true);
	if (bf_snapshot_builder_add(b, &gone, NULL) < 0)
		return 1;
	save(argv[1], "overlay", snapshot_of_finish(b));
	save(argv[1], "empty", snapshot_of_finish(snapshot_of_begin(false, 1)));
	return 0;
}
