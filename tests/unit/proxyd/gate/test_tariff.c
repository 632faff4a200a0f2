/* Models that are remembered: prices, lengths, and what gives way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "proxyd/gate/tariff.h"

static struct bf_conf_pricing_override overrides[3];
static struct bf_conf_sheet_price sheet[2];
static struct bf_conf_provider_key keys[2];
static struct bf_conf_provider provider;
static struct bf_config conf;
static struct bf_arena arena;
static struct tariff t;

static const struct bf_conf_price *price_of(const struct tariff_model *m)
{
	static struct bf_conf_price room;

	return m->priced ? bf_price_found_whole(&m->found, &room) : NULL;
}

static int64_t plain(const struct tariff_model *m, enum bf_price_kind kind)
{
	const struct bf_conf_price *price = price_of(m);

	return price ? price->token_pusd[kind][BF_RATE_PLAIN] : -2;
}

static struct tariff_model *ask(const char *provider_name, const char *model, const char *vk,
				const char *key)
{
	const struct bf_price_query q = {
	    .provider = bf_slice_from(provider_name),
	    .model = bf_slice_from(model),
	    .virtual_key_id = bf_slice_from(vk),
	    .provider_key_id = bf_slice_from(key),
	};

	return tariff_of(&t, &q);
}

static struct tariff_model *of(const char *provider_name, const char *model)
{
	return ask(provider_name, model, "", "");
}

/* The configuration as it is now. */
static int renew(void)
{
	struct bf_price_book book;
	int r = bf_price_book_open(&book, &conf, &arena);

	if (r == 0)
		tariff_renew(&t, &conf, &book);
	return r;
}

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 1u << 20);
	overrides[0] = (struct bf_conf_pricing_override){
	    .pattern = BF_SLICE_LIT("m"),
	    .pricing_patch = bf_price_of(1000, 2000, BF_PRICE_NOT_GIVEN)};
	keys[0].id = BF_SLICE_LIT("k1");
	keys[1].id = BF_SLICE_LIT("k2");
	provider = (struct bf_conf_provider){.name = BF_SLICE_LIT("p"), .keys = {keys, 2}};
	memset(&conf, 0, sizeof(conf));
	conf.providers = (struct bf_array){&provider, 1};
	conf.governance.pricing_overrides = (struct bf_array){overrides, 1};
	conf.governance.default_price = BF_PRICE_NONE;
	tariff_open(&t);
	return renew();
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

static void a_model_is_remembered(void **state)
{
	(void)state;
	struct tariff_model *m = of("mock", "m");
	assert_ptr_equal(price_of(m), &overrides[0].pricing_patch);
	m->lengths.count = 5;
	assert_null(price_of(of("mock", "other")));
	assert_int_equal(of("mock", "other")->lengths.count, 0);
	assert_int_equal(of("other", "m")->lengths.count, 0);
	assert_int_equal(of("mock", "m")->lengths.count, 5);
	/* The border between the two names counts. */
	assert_int_equal(of("moc", "km")->lengths.count, 0);
	assert_int_equal(of("mock", "")->lengths.count, 0);
}

static void long_names_are_priced_and_forgotten(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	of("mock", name)->lengths.count = 9;
	assert_int_equal(of("mock", name)->lengths.count, 0);
	assert_ptr_equal(price_of(of(name, "m")), &overrides[0].pricing_patch);
	/* The longest that fits. */
	name[TARIFF_NAME_MAX - 1 - sizeof("mock") - 1] = '\0';
	of("mock", name)->lengths.count = 9;
	assert_int_equal(of("mock", name)->lengths.count, 9);
}

static void invented_names_push_out_the_unused(void **state)
{
	char name[32];

	(void)state;
	of("mock", "used")->lengths.count = 7;
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "invented-%u", i);
		assert_int_equal(of("mock", name)->lengths.count, 0);
		assert_int_equal(of("mock", "used")->lengths.count, 7);
	}
}

/* Another key may be taken after an attempt: what is reserved is for the dearest. */
static void keys_have_prices_of_their_own(void **state)
{
	(void)state;
	overrides[1] = (struct bf_conf_pricing_override){
	    .provider_key_id = BF_SLICE_LIT("k2"),
	    .pattern = BF_SLICE_LIT("m"),
	    .pricing_patch = bf_price_of(9000, BF_PRICE_NOT_GIVEN, BF_PRICE_NOT_GIVEN)};
	overrides[2] = (struct bf_conf_pricing_override){.virtual_key_id = BF_SLICE_LIT("vk"),
							 .pattern = BF_SLICE_LIT("m"),
							 .pricing_patch =
							     bf_price_of(1, 1, BF_PRICE_NOT_GIVEN)};
	sheet[0] = (struct bf_conf_sheet_price){
	    .key = BF_SLICE_LIT("m"), .mode = BF_PRICE_CHAT, .price = bf_price_of(7, 8000, 9)};
	conf.governance.pricing_overrides.count = 3;
	conf.pricing.sheet.entries = (struct bf_array){sheet, 1};
	assert_int_equal(renew(), 0);
	struct tariff_model *m = ask("p", "m", "", "k1");
	assert_int_equal(plain(m, BF_PRICE_INPUT), 1000);
	assert_int_equal(m->bound.input_pusd[0], 9000);
	assert_int_equal(m->bound.output_pusd[0], 8000);
	m->lengths.count = 4;
	m = ask("p", "m", "", "k2");
	assert_int_equal(m->lengths.count, 0);
	assert_int_equal(plain(m, BF_PRICE_INPUT), 9000);
	assert_int_equal(plain(m, BF_PRICE_OUTPUT), 8000);
	assert_int_equal(m->bound.input_pusd[0], 9000);
	m = ask("p", "m", "vk", "k2");
	assert_int_equal(plain(m, BF_PRICE_INPUT), 1);
	assert_int_equal(plain(m, BF_PRICE_CACHE_READ), 9);
	/* k1 has a price, k2 with the only key's patch has none for what is written. */
	conf.governance.pricing_overrides = (struct bf_array){overrides + 1, 1};
	conf.pricing.sheet.entries.count = 0;
	assert_int_equal(renew(), 0);
	assert_false(ask("p", "m", "", "k2")->priced);
}

/* The same model is another one where something else is asked for. */
static void modes_are_apart(void **state)
{
	struct bf_price_query q = {
	    .provider = BF_SLICE_LIT("p"), .model = BF_SLICE_LIT("e"), .mode = BF_PRICE_EMBEDDING};

	(void)state;
	sheet[0] = (struct bf_conf_sheet_price){
	    .key = BF_SLICE_LIT("p/e"),
	    .provider = BF_SLICE_LIT("p"),
	    .mode = BF_PRICE_EMBEDDING,
	    .price = bf_price_of(7, BF_PRICE_NOT_GIVEN, BF_PRICE_NOT_GIVEN)};
	conf.pricing.sheet.entries = (struct bf_array){sheet, 1};
	assert_int_equal(renew(), 0);
	assert_true(tariff_of(&t, &q)->priced);
	q.mode = BF_PRICE_CHAT;
	assert_false(tariff_of(&t, &q)->priced);
	q.mode = BF_PRICE_EMBEDDING;
	assert_true(tariff_of(&t, &q)->priced);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Other prices: what is known of lengths stays. */
static void prices_change_and_lengths_stay(void **state)
{
	struct tariff_model *m = of("p", "m");

	(void)state;
	assert_int_equal(plain(m, BF_PRICE_INPUT), 1000);
	m->lengths.count = 7;
	(void)of("p", "other");
	overrides[0].pricing_patch = bf_price_of(3000, 2000, BF_PRICE_NOT_GIVEN);
	assert_int_equal(renew(), 0);
	m = of("p", "m");
	assert_int_equal(plain(m, BF_PRICE_INPUT), 3000);
	assert_int_equal(m->bound.input_pusd[0], 3000);
	assert_int_equal(m->lengths.count, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_model_is_remembered),
	    TEST(long_names_are_priced_and_forgotten),
	    TEST(invented_names_push_out_the_unused),
	    TEST(keys_have_prices_of_their_own),
	    TEST(modes_are_apart),
	    TEST(prices_change_and_lengths_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
