/* The copy of what was in force: written in pieces, loaded when the store is no use, refused when a
 * byte of it is another. */
#include "tests/unit/writerd/entities_bed.h"

#include "common/base/clock.h"

#define VK     BF_ENTITY_VIRTUAL_KEY
#define SEALED "encryption_key: 0123456789abcdef\nproviders: {mock: {}}\n"

static struct bed b;
static char copy[96];

static void run_until_written(void)
{
	uint64_t before = b.r.last_good.written;

	registry_second(&b.r);
	while (b.r.last_good.written == before)
		ev_run(b.loop, EVRUN_ONCE);
}

static void open_with_copy(void)
{
	bed_open(&b, SEALED);
	(void)snprintf(copy, sizeof(copy), "%s/snapshot.last", b.c.folder);
	bed_ask_well(&b, BF_ENTITY_CREATE, VK, "k",
		     "{\"name\":\"a\",\"value\":\"value-of-a-key\"}");
	bed_ask_well(&b, BF_ENTITY_UPDATE, BF_ENTITY_AUTH_CONFIG, "",
		     "{\"is_enabled\":true,\"admin_username\":\"ada\",\"admin_password\":"
		     "\"enigma-enigma\"}");
	run_until_written();
}

static size_t read_file(const char *path, char *out, size_t room)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	assert_non_null(f);
	n = fread(out, 1, room, f);
	(void)fclose(f);
	return n;
}

static void write_file(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	(void)fclose(f);
}

static void forget_in_force(void)
{
	bf_snapshot_unmap(b.base);
	bf_snapshot_unmap(b.overlay);
	b.base = b.overlay = NULL;
}

static void a_node_serves_without_its_store(void **state)
{
	static char bytes[1 << 16];
	char aside[128];
	size_t len;

	(void)state;
	open_with_copy();
	len = read_file(copy, bytes, sizeof(bytes));
	assert_null(memmem(bytes, len, "enigma", 6));
	assert_null(memmem(bytes, len, "ada", 3));
	bed_stop(&b);
	forget_in_force();
	(void)snprintf(aside, sizeof(aside), "%s.aside", b.path);
	assert_int_equal(rename(b.path, aside), 0);
	write_file(b.path, "this is no database, whatever it may be", 39);
	bed_start(&b);
	assert_string_equal(bed_holder(&b, VK, "value-of-a-key"), "k");
	assert_true(bed_finds(&b, BF_ENTITY_AUTH_CONFIG, "auth", NULL));
	bed_ask_badly(&b, BF_ENTITY_UPDATE, VK, "k", "{\"name\":\"b\"}", 503,
		      "config_store_unusable");
	/* It comes back: it is tried again, and counts. */
	assert_int_equal(rename(aside, b.path), 0);
	b.r.retry_at_ms = bf_mono_ms();
	registry_second(&b.r);
	bed_settle(&b);
	assert_null(registry_refusal(&b.r));
	bed_ask_well(&b, BF_ENTITY_UPDATE, VK, "k", "{\"name\":\"b\"}");
	assert_string_equal(bed_holder(&b, VK, "value-of-a-key"), "k");
	bed_close(&b);
}

static void try_again(void)
{
	b.r.retry_at_ms = bf_mono_ms();
	registry_second(&b.r);
	bed_settle(&b);
}

/* A store that is gone is none that never was: what the copy has is not forgotten for it. */
static void a_store_that_is_gone_is_not_made_anew(void **state)
{
	char aside[128];

	(void)state;
	open_with_copy();
	bed_stop(&b);
	forget_in_force();
	(void)snprintf(aside, sizeof(aside), "%s.aside", b.path);
	assert_int_equal(rename(b.path, aside), 0);
	bed_start(&b);
	assert_string_equal(bed_holder(&b, VK, "value-of-a-key"), "k");
	bed_ask_badly(&b, BF_ENTITY_UPDATE, VK, "k", "{\"name\":\"b\"}", 503,
		      "config_store_unusable");
	assert_non_null(strstr(b.r.trouble.text, "remove snapshot.last to begin anew"));
	try_again();
	assert_string_equal(bed_holder(&b, VK, "value-of-a-key"), "k");
	assert_int_equal(rename(aside, b.path), 0);
	try_again();
	assert_null(registry_refusal(&b.r));
	assert_string_equal(bed_holder(&b, VK, "value-of-a-key"), "k");
	/* Who wants it so begins anew. */
	bed_stop(&b);
	assert_int_equal(unlink(b.path), 0);
	bed_start(&b);
	assert_int_equal(unlink(copy), 0);
	try_again();
	assert_null(registry_refusal(&b.r));
	assert_string_equal(bed_holder(&b, VK, "value-of-a-key"), "");
	bed_close(&b);
}

/* Without a store no copy stands for one. */
static void the_file_alone_leaves_no_copy(void **state)
{
	(void)state;
	bed_open(&b, SEALED "config_store: {enabled: false}\n");
	(void)snprintf(copy, sizeof(copy), "%s/snapshot.last", b.c.folder);
	registry_second(&b.r);
	bed_settle(&b);
	assert_int_equal(access(copy, F_OK), -1);
	bed_again(&b, SEALED);
	assert_null(registry_refusal(&b.r));
	bed_close(&b);
}

/* What is blocked in the copy is looked at again when the store is back: of what it has nothing
 * may be noted for those that were published before. */
static void a_store_that_comes_back_is_another_table(void **state)
{
	static const char with_more[] = SEALED "governance: {customers: [{id: c, name: Acme}]}\n";
	char aside[128];

	(void)state;
	bed_open(&b, SEALED "governance: {teams: [{id: t, name: blue}]}\n");
	(void)snprintf(copy, sizeof(copy), "%s/snapshot.last", b.c.folder);
	bed_ask_well(&b, BF_ENTITY_CREATE, VK, "k", "{\"name\":\"a\",\"team_id\":\"t\"}");
	bed_again(&b, SEALED);
	assert_int_equal(b.r.quarantined, 1);
	run_until_written();
	bed_stop(&b);
	forget_in_force();
	(void)snprintf(aside, sizeof(aside), "%s.aside", b.path);
	assert_int_equal(rename(b.path, aside), 0);
	write_file(b.path, "this is no database, whatever it may be", 39);
	bed_configure(&b, with_more);
	bed_start(&b);
	assert_int_equal(b.r.stopgap, REGISTRY_COPY);
	assert_int_equal(b.r.quarantined, 1);
	assert_int_equal(rename(aside, b.path), 0);
	b.r.retry_at_ms = bf_mono_ms();
	registry_second(&b.r);
	bed_settle(&b);
	assert_int_equal(b.r.quarantined, 1);
	assert_true(bed_finds(&b, BF_ENTITY_CUSTOMER, "c", NULL));
	bed_ask_well(&b, BF_ENTITY_UPDATE, VK, "k", "{\"team_id\":\"\",\"customer_id\":\"c\"}");
	assert_int_equal(b.r.quarantined, 0);
	bed_close(&b);
}

static int try_load(uint8_t pepper[32])
{
	struct entities *t = NULL;
	struct bf_err err = {0};
	int r;

	assert_int_equal(entities_open(&t), 0);
	r = last_good_load(&b.r.last_good, t, pepper, &err);
	assert_int_equal(r < 0, err.text[0] != '\0');
	entities_close(t);
	return r;
}

static void every_changed_or_missing_byte_is_found(void **state)
{
	static char bytes[1 << 16];
	uint8_t pepper[32];
	size_t len;

	(void)state;
	open_with_copy();
	assert_int_equal(try_load(pepper), 0);
	assert_memory_equal(pepper, b.r.maker.pepper, sizeof(pepper));
	len = read_file(copy, bytes, sizeof(bytes));
	for (size_t i = 0; i < len; i += 1 + i / 64) {
		bytes[i] ^= 4;
		write_file(copy, bytes, len);
		bytes[i] ^= 4;
		assert_true(try_load(pepper) < 0);
		write_file(copy, bytes, i);
		assert_true(try_load(pepper) < 0);
	}
	assert_int_equal(unlink(copy), 0);
	assert_int_equal(try_load(pepper), BF_E_MISSING);
	bed_close(&b);
}

static void another_key_does_not_open_it(void **state)
{
	uint8_t pepper[32];

	(void)state;
	open_with_copy();
	bed_stop(&b);
	forget_in_force();
	bed_configure(&b, "encryption_key: fedcba9876543210\nproviders: {mock: {}}\n");
	bed_start(&b);
	assert_int_equal(try_load(pepper), BF_E_DENIED);
	assert_null(b.base);
	bed_close(&b);
}

static void without_a_key_there_is_none(void **state)
{
	(void)state;
	bed_open(&b, "providers: {mock: {}}\n");
	(void)snprintf(copy, sizeof(copy), "%s/snapshot.last", b.c.folder);
	bed_ask_well(&b, BF_ENTITY_CREATE, VK, "k", "{\"name\":\"a\"}");
	registry_second(&b.r);
	bed_settle(&b);
	assert_int_equal(access(copy, F_OK), -1);
	bed_close(&b);
}

static void it_is_written_once_a_minute_at_most(void **state)
{
	(void)state;
	open_with_copy();
	bed_ask_well(&b, BF_ENTITY_CREATE, VK, "k2", "{\"name\":\"b\"}");
	registry_second(&b.r);
	assert_true(b.r.last_good.fd < 0);
	b.r.last_good.begun_at_ms -= LAST_GOOD_EVERY_MS;
	run_until_written();
	registry_second(&b.r);
	assert_true(b.r.last_good.fd < 0);
	bed_close(&b);
}

/* What is on the disk then may hold keys that are gone: it must not stay longer than it has to. */
static void a_copy_that_failed_is_tried_again(void **state)
{
	(void)state;
	open_with_copy();
	bed_ask_well(&b, BF_ENTITY_DELETE, VK, "k", "");
	assert_int_equal(mkdir(b.r.last_good.path_new, 0700), 0);
	b.r.last_good.begun_at_ms -= LAST_GOOD_EVERY_MS;
	registry_second(&b.r);
	assert_true(b.r.last_good.fd < 0);
	assert_int_equal(rmdir(b.r.last_good.path_new), 0);
	registry_second(&b.r);
	assert_true(b.r.last_good.fd < 0);
	assert_true(b.r.last_good.wanted);
	b.r.last_good.begun_at_ms -= LAST_GOOD_EVERY_MS;
	run_until_written();
	bed_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_node_serves_without_its_store),
	    cmocka_unit_test(a_store_that_comes_back_is_another_table),
	    cmocka_unit_test(a_store_that_is_gone_is_not_made_anew),
	    cmocka_unit_test(the_file_alone_leaves_no_copy),
	    cmocka_unit_test(every_changed_or_missing_byte_is_found),
	    cmocka_unit_test(another_key_does_not_open_it),
	    cmocka_unit_test(without_a_key_there_is_none),
	    cmocka_unit_test(it_is_written_once_a_minute_at_most),
	    cmocka_unit_test(a_copy_that_failed_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
