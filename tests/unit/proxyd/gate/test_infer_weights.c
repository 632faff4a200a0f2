/* Shares of providers: who is drawn how often, in which order the others follow, and who takes part
 * at all. */
#include "proxyd/gate/infer_weights.h"
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[8];

/* ---- the order */

/* A source of its own, the same in every run. */
static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static struct infer_share share(const char *name, int64_t weight_micro)
{
	return (struct infer_share){bf_slice_from(name), weight_micro};
}

/* How often each of a, b, c, d was first in n draws. */
static void draw(const int64_t weights[4], unsigned n, unsigned ret_first[4])
{
	uint64_t seed = 42;

	memset(ret_first, 0, 4 * sizeof(ret_first[0]));
	for (unsigned i = 0; i < n; i++) {
		struct infer_share s[4] = {share("a", weights[0]), share("b", weights[1]),
					   share("c", weights[2]), share("d", weights[3])};

		infer_shares_order(s, 4, next(&seed));
		ret_first[s[0].provider.ptr[0] - 'a']++;
		/* The others by descending weight, each still there. */
		assert_true(s[1].weight_micro >= s[2].weight_micro);
		assert_true(s[2].weight_micro >= s[3].weight_micro);
		assert_int_equal(s[0].provider.ptr[0] ^ s[1].provider.ptr[0] ^
				     s[2].provider.ptr[0] ^ s[3].provider.ptr[0],
				 'a' ^ 'b' ^ 'c' ^ 'd');
	}
}

static void near(unsigned got, unsigned wanted, unsigned off)
{
	if (got + off < wanted || got > wanted + off)
		fail_msg("%u instead of about %u", got, wanted);
}

/* Four standard deviations of 100,000 draws are less than 650. */
static void each_gets_its_share(void **state)
{
	static const int64_t weights[4] = {100000, 200000, 0, 700000},
			     alike[4] = {500000, 500000, 500000, 500000}, zero[4] = {0},
			     huge[4] = {INT64_MAX / 8, INT64_MAX / 8, 0, INT64_MAX / 4};
	unsigned first[4];

	(void)state;
	draw(weights, 100000, first);
	near(first[0], 10000, 650);
	near(first[1], 20000, 650);
	assert_int_equal(first[2], 0);
	near(first[3], 70000, 650);
	draw(alike, 100000, first);
	for (unsigned i = 0; i < 4; i++)
		near(first[i], 25000, 650);
	draw(zero, 100000, first);
	for (unsigned i = 0; i < 4; i++)
		near(first[i], 25000, 650);
	draw(huge, 100000, first);
	near(first[3], 50000, 650);
}

static void the_others_follow_by_weight(void **state)
{
	struct infer_share s[5] = {share("a", 1), share("b", 3), share("c", 3), share("d", 0),
				   share("e", 2)};
	struct infer_share one[1] = {share("a", 5)};

	(void)state;
	infer_shares_order(s, 5, 9 * 1000 + 8); /* the last of nine */
	static const char wanted[] = "ebcad";
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(s[i].provider.ptr[0], wanted[i]);
	infer_shares_order(one, 1, 7);
	infer_shares_order(NULL, 0, 7);
	assert_int_equal(one[0].provider.ptr[0], 'a');
}

/* ---- requests */

static struct bf_slice any_name[] = {{"*", 1}}, model_m[] = {BF_SLICE_INIT("m")};
static struct bf_conf_provider_config configs[4];

static struct bf_conf_provider_config at(const char *provider, int64_t weight_micro)
{
	return (struct bf_conf_provider_config){.provider = bf_slice_from(provider),
						.weight_micro = weight_micro,
						.allowed_models = {any_name, 1},
						.key_ids = {any_name, 1}};
}

static void open_house(void)
{
	const struct limits_of of = {0};

	house(0, 1);
	govern_house(&of);
	configs[0] = at("mock", 100);
	configs[1] = at("second", 900);
	configs[2] = at("third", BF_WEIGHT_NONE);
	configs[3] = at("gone", 1000000);
	virtual_keys[0].allow_all_providers = false;
	virtual_keys[0].provider_configs = (struct bf_array){configs, 4};
	in_force_publish(&h.w);
}

static int ask_bare(const int *steps, const char *headers, const char *model, const char *more)
{
	char request[1024], body[512];
	int fd = harness_client(&h);

	script = steps;
	asked[0] = '\0';
	(void)snprintf(body, sizeof(body),
		       "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]%s}",
		       model, more);
	(void)snprintf(request, sizeof(request),
		       "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" KEY_A
		       "%sContent-Length: %zu\r\n\r\n%s",
		       headers, strlen(body), body);
	(void)harness_ask(&h, fd, request, answer, sizeof(answer));
	return fd;
}

/* Where the request went, as often as it takes to see both orders. */
static void a_bare_model_goes_where_the_weights_say(void **state)
{
	unsigned mock = 0, second = 0;
	int fd = -1;

	(void)state;
	open_house();
	for (unsigned i = 0; i < 400; i++) {
		fd = ask_bare(STEPS(500, 200), "", "m", "");
		has(" 200 ");
		if (strcmp(asked, "mock/k1 second/k1 ") == 0)
			mock++;
		else if (strcmp(asked, "second/k1 mock/k1 ") == 0)
			second++;
		else
			fail_msg("%s", asked);
		(void)close(fd);
		harness_turns(&h, 2);
		(void)harness_rows(&h, rows, 8);
	}
	near(mock, 40, 36);
	assert_int_equal(mock + second, 400);
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
}

static void its_own_fallbacks_count_first(void **state)
{
	(void)state;
	open_house();
	configs[0].weight_micro = 0;
	in_force_publish(&h.w);
	int fd = ask_bare(STEPS(500, 200), "", "m", ",\"fallbacks\":[\"third/x\"]");
	has(" 200 ");
	assert_string_equal(asked, "second/k1 third/k1 ");
	(void)close(fd);
	fd = ask_bare(STEPS(500, 200), "", "m", ",\"fallbacks\":[]");
	assert_string_equal(asked, "second/k1 mock/k1 ");
	assert_int_equal(leave_governed(fd, rows, 8), 4);
}

/* Names with a provider, lists, keys that are pinned or do not serve, and nobody at all. */
static void who_takes_part(void **state)
{
	(void)state;
	open_house();
	(void)ask_bare(STEPS(200), "", "mock/m", "");
	assert_string_equal(asked, "mock/k1 ");
	configs[1].blacklisted_models = (struct bf_array){model_m, 1};
	in_force_publish(&h.w);
	(void)ask_bare(STEPS(500), "", "m", "");
	assert_string_equal(asked, "mock/k1 ");
	configs[1].blacklisted_models.count = 0;
	in_force_publish(&h.w);
	keys[1][0].models = (struct bf_array){(struct bf_slice[]){{"x", 1}}, 1};
	(void)ask_bare(STEPS(500), "", "m", "");
	assert_string_equal(asked, "mock/k1 ");
	keys[1][0].models.count = 0;
	keys[1][0].name = BF_SLICE_LIT("own");
	(void)ask_bare(STEPS(500), "x-bf-api-key: own\r\n", "m", "");
	assert_string_equal(asked, "second/own ");
	configs[1].key_ids.count = 0;
	in_force_publish(&h.w);
	(void)ask_bare(STEPS(500), "", "m", "");
	assert_string_equal(asked, "mock/k1 ");
	configs[0].weight_micro = BF_WEIGHT_NONE;
	in_force_publish(&h.w);
	(void)ask_bare(STEPS(500), "", "m", "");
	has(" 400 ");
	has("provider is required in model field");
	assert_string_equal(asked, "");
	/* None of them admits it: that is no question of its name. */
	for (unsigned i = 0; i < 4; i++)
		configs[i].allowed_models = (struct bf_array){model_m, 1};
	in_force_publish(&h.w);
	(void)ask_bare(STEPS(500), "", "m-2", "");
	has(" 403 ");
	has("\"type\":\"model_blocked\"");
	has("may not use model \\\"m-2\\\": none of its provider_configs admits it");
	virtual_keys[0].allow_all_providers = true;
	in_force_publish(&h.w);
	int fd = ask_bare(STEPS(500), "", "m-2", "");
	has(" 400 ");
	assert_int_equal(leave_governed(fd, rows, 8), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_gets_its_share),
	    cmocka_unit_test(the_others_follow_by_weight),
	    cmocka_unit_test(a_bare_model_goes_where_the_weights_say),
	    cmocka_unit_test(its_own_fallbacks_count_first),
	    cmocka_unit_test(who_takes_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
