/* Asking a provider for its models: by which key, and what becomes of whatever can go wrong on the
 * way; seen from the client that asked. */
#include "tests/unit/proxyd/refresh_bed.h"

static void keys_that_may_not_be_asked(void **state)
{
	struct provider *p = a.h.w.providers->items[1];
	struct bf_conf_provider *conf = &((struct bf_conf_provider *)a.h.config.providers.items)[1];

	(void)state;
	conf->keys.count = 2;
	provider_keys_close(&p->keys);
	provider_keys_without_health(&p->keys, conf);
	refused("POST " REFRESH, "", "409", "no_provider_key");
	assert_non_null(strstr(answer, "no enabled key of provider \\\"served\\\" serves any"));
	assert_int_equal(asker_metric(&a, SHM_M_MODEL_LIST_FAILURES), 1);
}

/* One that is spared just now is not asked while there is another. */
static void a_key_that_is_spared(void **state)
{
	const struct shm_key_report no = {SHM_KEY_REFUSED, 401, 60000};
	struct provider *p = a.h.w.providers->items[1];

	(void)state;
	provider_keys_report(&p->keys, &a.h.w, 2, &no, bf_mono_ms());
	sends("POST " REFRESH, "", "");
	is_asked();
	assert_non_null(strstr(request, "\r\nAuthorization: Bearer spare\r\n"));
	answers("500 No", "{}");
	finish("502", "status 500");
	/* When all are, the first is: somebody wants to know. */
	provider_keys_report(&p->keys, &a.h.w, 3, &no, bf_mono_ms());
	sends("POST " REFRESH, "", "");
	is_asked();
	assert_non_null(strstr(request, "\r\nAuthorization: Bearer " SECRET "\r\n"));
	answers("500 No", "{}");
	finish("502", "status 500");
}

static void errors_of_the_provider(void **state)
{
	static const struct {
		const char *status, *type, *text;
	} cases[] = {
	    {"401 Unauthorized", "upstream_auth_failed", "the provider answered with status 401"},
	    {"404 Not Found", "upstream_refused", "the provider answered with status 404"},
	    {"429 Slow", "upstream_rate_limited", "the provider answered with status 429"},
	    {"500 Oops", "upstream_error", "the provider answered with status 500"},
	    {"503 Busy", "upstream_error", "the provider answered with status 503"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		sends("POST " REFRESH, "", "");
		is_asked();
		answers(cases[i].status, "{\"error\":\"it quotes " SECRET " and more\"}");
		finish("502", cases[i].text);
		assert_non_null(strstr(answer, cases[i].type));
		assert_null(strstr(answer, "quotes"));
		nobody_is_asked();
	}
	assert_int_equal(asker_metric(&a, SHM_M_MODEL_LISTS), 0);
	assert_int_equal(asker_metric(&a, SHM_M_MODEL_LIST_FAILURES), BF_ARRAY_LEN(cases));
}

static void answers_that_are_none(void **state)
{
	static const char *const bodies[] = {"", "no", "{\"data\":{}}", "{\"data\":[{\"id\":\"a",
					     "{\"data\":[{\"name\":\"" SECRET "\"}]}"};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(bodies); i++) {
		sends("POST " REFRESH, "", "");
		is_asked();
		answers("200 OK", bodies[i]);
		finish("502", "cannot be used as a list of models");
		assert_non_null(strstr(answer, "upstream_protocol_error"));
		nobody_is_asked();
	}
}

static void more_than_is_read(void **state)
{
	size_t len = LISTING_MAX_BYTES + 1;
	char *text = malloc(len + 1);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', len);
	text[len] = '\0';
	sends("POST " REFRESH, "", "");
	is_asked();
	answers("200 OK", text);
	finish("502", "larger than 4 MiB");
	/* Of the largest size it is read. */
	memcpy(text, "{\"data\":[]}", 11);
	text[len - 1] = '\0';
	sends("POST " REFRESH, "", "");
	is_asked();
	answers("200 OK", text);
	is_changed("served", "{\"models\":[]}");
	stored("Models refreshed: 0");
	free(text);
}

static void no_memory_for_the_answer(void **state)
{
	char *text = many_names(1000, 30);

	(void)state;
	sends("POST " REFRESH, "", "");
	is_asked();
	answers("200 OK", text);
	finish("503", "answer_memory_full");
	assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
	free(text);
}

static void a_provider_that_cuts(void **state)
{
	static const char *const pieces[] = {
	    "", "HTTP/1.1 200 OK\r\nContent-Le",
	    "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"data\"", "nonsense\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(pieces); i++) {
		sends("POST " REFRESH, "", "");
		is_asked();
		says(pieces[i], strlen(pieces[i]));
		(void)close(server);
		server = -1;
		finish("502", "upstream_");
		nobody_is_asked();
	}
}

static void nobody_listens(void **state)
{
	(void)state;
	(void)close(listener);
	sends("POST " REFRESH, "", "");
	finish("502", "upstream_connect_failed");
	nobody_is_asked();
}

/* Before its head, within it, within the body. */
static void a_silent_provider(void **state)
{
	static const char *const pieces[] = {
	    "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"data\""};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(pieces); i++) {
		sends("POST " REFRESH, "", "");
		is_asked();
		says(pieces[i], strlen(pieces[i]));
		for (int k = 0; k < 3000 && asked() <= (int)i; k++)
			turn();
		finish("504", "upstream_timeout");
		(void)close(server);
		server = -1;
		nobody_is_asked();
	}
}

/* The provider sees it, and writerd is not bothered. */
static void a_client_that_leaves(void **state)
{
	char byte;

	(void)state;
	for (int moment = 0; moment < 2; moment++) {
		ssize_t n = -1;

		sends("POST " REFRESH, "", "");
		is_asked();
		if (moment)
			says("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"data\"", 46);
		(void)close(client);
		for (int i = 0; i < 5000 && n != 0; i++) {
			turn();
			n = recv(server, &byte, 1, 0);
			if (n < 0 && errno != EAGAIN)
				n = 0;
		}
		assert_int_equal(n, 0);
		(void)close(server);
		server = -1;
		nobody_is_asked();
	}
	assert_int_equal(asker_metric(&a, SHM_M_MODEL_LIST_FAILURES), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(keys_that_may_not_be_asked, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_key_that_is_spared, setup, teardown),
	    cmocka_unit_test_setup_teardown(errors_of_the_provider, setup, teardown),
	    cmocka_unit_test_setup_teardown(answers_that_are_none, setup, teardown),
	    cmocka_unit_test_setup_teardown(more_than_is_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_memory_for_the_answer, setup_little_memory,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_provider_that_cuts, setup, teardown),
	    cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_silent_provider, setup_impatient, teardown),
	    cmocka_unit_test_setup_teardown(a_client_that_leaves, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
