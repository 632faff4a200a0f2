/*
 * Entities as rows of config.db. Called by registry.c. Must never write a secret that is not
 * sealed, and never read a body without knowing that it is the one that was written at its place.
 */
#include "writerd/store/store_sqlite_entities.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rand.h"
#include "common/crypt/seal.h"
#include "writerd/store/store_sqlite_db.h"

#define PEPPER_LEN 32

struct entity_store {
	sqlite3 *db;
	char *path;
	bool has_key;
	uint8_t key[BF_SEAL_KEY_LEN];
	sqlite3_stmt *put;
	struct bf_buf scratch; /* no-dump */
};

static int no(struct entity_store *s, struct bf_err *err)
{
	return sqlite_db_err(s->db, &schema_config, s->path, err);
}

static int prepare(struct entity_store *s, const char *sql, sqlite3_stmt **ret_st,
		   struct bf_err *err)
{
	return sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_st, NULL) ==
		       SQLITE_OK
		   ? 0
		   : no(s, err);
}

static struct bf_slice blob_at(sqlite3_stmt *st, int column)
{
	const void *bytes = sqlite3_column_blob(st, column);

	return (struct bf_slice){bytes, bytes ? (size_t)sqlite3_column_bytes(st, column) : 0};
}

/* ---- seals */

static struct bf_slice place_of(uint32_t type, struct bf_slice id, char out[BF_ENTITY_ID_MAX + 64])
{
	int n = snprintf(out, BF_ENTITY_ID_MAX + 64, "%s/%.*s", bf_entity_def(type)->name,
			 BF_SLICE_FMT(id));

	return (struct bf_slice){out, (size_t)n};
}

static int open_sealed(struct entity_store *s, struct bf_slice place, struct bf_slice sealed,
		       struct bf_slice *ret_plain, struct bf_err *err)
{
	int r;

	if (!s->has_key)
		return bf_err_set(err, BF_E_DENIED,
				  "config_store: %s: is sealed: give the encryption_key with which "
				  "it was written",
				  s->path);
	bf_buf_clear(&s->scratch);
	r = bf_unseal(s->key, place, sealed, &s->scratch);
	if (r < 0)
		return bf_err_set(err, r,
				  "config_store: %s: %.*s cannot be unsealed: give the "
				  "encryption_key with which it was written",
				  s->path, BF_SLICE_FMT(place));
	*ret_plain = bf_buf_slice(&s->scratch);
	return 0;
}

/* ---- the pepper */

static const struct bf_slice pepper_place = BF_SLICE_INIT("pepper");

static int write_pepper(struct entity_store *s, const uint8_t *pepper, struct bf_err *err)
{
	struct bf_slice value = {(const char *)pepper, PEPPER_LEN};
	sqlite3_stmt *st = NULL;
	int r = prepare(s, "INSERT OR REPLACE INTO pepper (one, value, sealed) VALUES (1, ?, ?)",
			&st, err);

	if (r < 0)
		return r;
	bf_buf_clear(&s->scratch);
	if (s->has_key && bf_seal(s->key, pepper_place, value, &s->scratch) < 0) {
		(void)sqlite3_finalize(st);
		return bf_err_sys(err, -ENOMEM, "config_store");
	}
	if (s->has_key)
		value = bf_buf_slice(&s->scratch);
	(void)sqlite3_bind_blob(st, 1, value.ptr, (int)value.len, SQLITE_STATIC);
	(void)sqlite3_bind_int(st, 2, s->has_key);
	r = sqlite3_step(st) == SQLITE_DONE ? 0 : no(s, err);
	(void)sqlite3_finalize(st);
	return r;
}

/* 1: it was read; 0: there is none. */
static int read_pepper(struct entity_store *s, uint8_t *ret_pepper, bool *ret_sealed,
		       struct bf_err *err)
{
	struct bf_slice value;
	sqlite3_stmt *st = NULL;
	int r = prepare(s, "SELECT value, sealed FROM pepper", &st, err);
	int step;

	if (r < 0)
		return r;
	step = sqlite3_step(st);
	if (step == SQLITE_ROW) {
		value = blob_at(st, 0);
		*ret_sealed = sqlite3_column_int(st, 1) != 0;
		if (*ret_sealed)
			r = open_sealed(s, pepper_place, value, &value, err);
		if (r == 0 && value.len != PEPPER_LEN)
			r = bf_err_set(err, BF_E_CORRUPT,
				       "config_store: %s: the pepper is damaged: restore the file",
				       s->path);
		if (r == 0)
			memcpy(ret_pepper, value.ptr, PEPPER_LEN);
		r = r ? r : 1;
	} else if (step != SQLITE_DONE) {
		r = no(s, err);
	}
	(void)sqlite3_finalize(st);
	return r;
}

/* It would be another one: nobody's value would be known any more. */
static int no_new_one(const struct entity_store *s, struct bf_err *err)
{
	return bf_err_set(
	    err, BF_E_MISSING,
	    "config_store: %s: is new, and snapshot.last in the state folder has what "
	    "the one before had: give that one back, or remove snapshot.last to begin "
	    "anew",
	    s->path);
}

static int settle_pepper(struct entity_store *s, bool is_known, uint8_t *ret_pepper,
			 struct bf_err *err)
{
	bool sealed = false;
	int r = entity_store_begin(s, err);

	if (r < 0)
		return r;
	r = read_pepper(s, ret_pepper, &sealed, err);
	if (r == 0 && is_known)
		r = no_new_one(s, err);
	if (r == 0)
		bf_rand_bytes(ret_pepper, PEPPER_LEN);
	if (r == 0 || (r == 1 && s->has_key && !sealed))
		r = write_pepper(s, ret_pepper, err);
	r = r < 0 ? r : entity_store_commit(s, err);
	if (r < 0)
		entity_store_rollback(s);
	return r;
}

/* ---- opening */

static int prepare_put(struct entity_store *s, struct bf_err *err)
{
	return prepare(s,
		       "INSERT INTO entities (type, id, version, hlc, flags, created_ms, "
		       "updated_ms, name, scope, body, sealed, secret, file_hash)"
		       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
		       " ON CONFLICT (type, id) DO UPDATE SET version = ?3, hlc = ?4, flags = ?5,"
		       " created_ms = ?6, updated_ms = ?7, name = ?8, scope = ?9, body = ?10,"
		       " sealed = ?11, secret = ?12, file_hash = ?13",
		       &s->put, err);
}

static struct entity_store *make(const char *path, struct bf_slice encryption_key,
				 struct bf_err *err)
{
	struct entity_store *s = calloc(1, sizeof(*s));

	if (s)
		s->path = strdup(path);
	if (!s || !s->path) {
		free(s);
		(void)bf_err_sys(err, -ENOMEM, "config_store");
		return NULL;
	}
	bf_buf_init_nodump(&s->scratch, BF_ENTITY_BODY_MAX + BF_SEAL_OVERHEAD);
	s->has_key = encryption_key.len > 0;
	if (s->has_key)
		bf_seal_key(encryption_key, "bifrost store", s->key);
	return s;
}

int entity_store_open(const char *path, struct bf_slice encryption_key, bool is_known,
		      struct entity_store **ret_store, uint8_t ret_pepper[32], struct bf_err *err)
{
	struct entity_store *s = make(path, encryption_key, err);
	int r;

	if (!s)
		return -ENOMEM;
	r = sqlite_db_open(path, &schema_config, &s->db, err);
	if (r == 0)
		r = settle_pepper(s, is_known, ret_pepper, err);
	if (r == 0)
		r = prepare_put(s, err);
	if (r < 0) {
		entity_store_close(s);
		return r;
	}
	*ret_store = s;
	return 0;
}

int entity_store_look(const char *path, struct bf_slice encryption_key,
		      struct entity_store **ret_store, uint8_t ret_pepper[32], struct bf_err *err)
{
	struct entity_store *s = make(path, encryption_key, err);
	bool sealed = false;
	int r;

	if (!s)
		return -ENOMEM;
	r = sqlite_db_look(path, &schema_config, &s->db, err);
	if (r == 0)
		r = read_pepper(s, ret_pepper, &sealed, err);
	if (r == 0)
		r = bf_err_set(err, BF_E_MISSING, "config_store: %s: has no pepper yet", path);
	if (r < 0) {
		entity_store_close(s);
		return r;
	}
	*ret_store = s;
	return 0;
}

void entity_store_close(struct entity_store *s)
{
	if (!s)
		return;
	(void)sqlite3_finalize(s->put);
	sqlite_db_close(&s->db);
	bf_wipe(s->key, sizeof(s->key));
	bf_buf_done(&s->scratch);
	free(s->path);
	free(s);
}

bool entity_store_seals(const struct entity_store *s)
{
	return s->has_key;
}

/* ---- reading */

static struct bf_slice text_at(sqlite3_stmt *st, int column)
{
	const char *text = (const char *)sqlite3_column_text(st, column);

	return (struct bf_slice){text, text ? (size_t)sqlite3_column_bytes(st, column) : 0};
}

static void copy_fixed(uint8_t out[32], struct bf_slice blob)
{
	memset(out, 0, 32);
	if (blob.len == 32)
		memcpy(out, blob.ptr, 32);
}

/* 1: a type of a newer build, of which nothing is known here. */
static int read_row(struct entity_store *s, sqlite3_stmt *st, struct bf_entity *e,
		    struct bf_err *err)
{
	char place[BF_ENTITY_ID_MAX + 64];

	*e = (struct bf_entity){
	    .type = bf_entity_type_of(text_at(st, 0)),
	    .id = text_at(st, 1),
	    .version = (uint64_t)sqlite3_column_int64(st, 2),
	    .flags = (uint32_t)sqlite3_column_int64(st, 4) &
		     ((uint32_t)BF_ENTITY_DELETED | BF_ENTITY_FROM_FILE),
	    .created_ms = sqlite3_column_int64(st, 5),
	    .updated_ms = sqlite3_column_int64(st, 6),
	    .name = text_at(st, 7),
	    .scope = text_at(st, 8),
	    .body = blob_at(st, 9),
	};
	copy_fixed(e->secret, blob_at(st, 11));
	if (e->type == 0)
		return 1;
	if (e->id.len == 0 || e->id.len > BF_ENTITY_ID_MAX)
		return bf_err_set(err, BF_E_CORRUPT,
				  "config_store: %s: an id is damaged: restore the file", s->path);
	if (sqlite3_column_int(st, 10) == 0)
		return 0;
	return open_sealed(s, place_of(e->type, e->id, place), e->body, &e->body, err);
}

/* The pepper was unsealed with this key, so it is the row that is damaged: without its body it is
 * handed on, as unreadable as any other. Not the login: without it nobody would be asked for one.
 */
static int take_damaged(const struct entity_store *s, struct bf_entity *e, struct bf_err *err)
{
	if (!s->has_key)
		return BF_E_DENIED;
	if (e->type != BF_ENTITY_PROVIDER)
		return bf_err_set(err, BF_E_CORRUPT,
				  "config_store: %s: the %s is damaged: restore the file", s->path,
				  bf_entity_def(e->type)->name);
	e->body = (struct bf_slice){NULL, 0};
	return 0;
}

int entity_store_load(struct entity_store *s, entity_store_each each, void *ctx, struct bf_err *err)
{
	uint8_t file_hash[32];
	sqlite3_stmt *st = NULL;
	struct bf_entity e;
	int step = SQLITE_DONE;
	int r = prepare(s,
			"SELECT type, id, version, hlc, flags, created_ms, updated_ms, name, "
			"scope, body, sealed, secret, file_hash FROM entities ORDER BY number",
			&st, err);

	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		r = read_row(s, st, &e, err);
		if (r == BF_E_DENIED)
			r = take_damaged(s, &e, err);
		if (r == 0) {
			copy_fixed(file_hash, blob_at(st, 12));
			r = each(ctx, &e, (uint64_t)sqlite3_column_int64(st, 3), file_hash, err);
		}
		r = r == 1 ? 0 : r;
	}
	if (r == 0 && step != SQLITE_DONE)
		r = no(s, err);
	(void)sqlite3_finalize(st);
	return r;
}

/* ---- writing */

int entity_store_begin(struct entity_store *s, struct bf_err *err)
{
	if (sqlite_db_moved(s->db))
		return bf_err_set(err, BF_E_STATE,
				  "config_store: %s: is another file than the one that is open: "
				  "move that one back, or restart writerd",
				  s->path);
	return sqlite_db_exec(s->db, "BEGIN IMMEDIATE", &schema_config, s->path, err);
}

/* A full or failing disk ends the whole transaction, whichever statement it meets: what came behind
 * that would be stored by itself. */
static int goes_on(struct entity_store *s, struct bf_err *err)
{
	if (!sqlite3_get_autocommit(s->db))
		return 0;
	return bf_err_set(err, BF_E_STATE,
			  "config_store: %s: the transaction was given up: try again", s->path);
}

/* Its frames may stand in the log, though the disk did not confirm them: who opens the file after
 * our death would find them. One that changes nothing takes their place. */
static void bury_commit(struct entity_store *s)
{
	entity_store_rollback(s);
	/* A number that nobody uses, and that is written although it is the same. */
	(void)sqlite3_exec(s->db, "PRAGMA user_version = 0", NULL, NULL, NULL);
}

int entity_store_commit(struct entity_store *s, struct bf_err *err)
{
	int r = goes_on(s, err);

	if (r < 0)
		return r;
	r = sqlite_db_exec(s->db, "COMMIT", &schema_config, s->path, err);
	if (r < 0)
		bury_commit(s);
	return r;
}

void entity_store_rollback(struct entity_store *s)
{
	(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static void bind_text(sqlite3_stmt *st, int at, struct bf_slice text)
{
	(void)sqlite3_bind_text(st, at, text.ptr ? text.ptr : "", (int)text.len, SQLITE_STATIC);
}

static void bind_blob(sqlite3_stmt *st, int at, struct bf_slice blob)
{
	(void)sqlite3_bind_blob(st, at, blob.ptr ? blob.ptr : "", (int)blob.len, SQLITE_STATIC);
}

static int run(struct entity_store *s, sqlite3_stmt *st, struct bf_err *err)
{
	int r = sqlite3_step(st) == SQLITE_DONE ? 0 : no(s, err);

	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return r;
}

int entity_store_put(struct entity_store *s, const struct entity *x, struct bf_err *err)
{
	const struct bf_entity_def *def = bf_entity_def(x->e.type);
	bool seals = def->sealed && x->e.body.len;
	char place[BF_ENTITY_ID_MAX + 64];
	struct bf_slice body = x->e.body;

	if (goes_on(s, err) < 0)
		return BF_E_STATE;
	if (seals && !s->has_key)
		return 0;
	if (seals) {
		bf_buf_clear(&s->scratch);
		if (bf_seal(s->key, place_of(x->e.type, x->e.id, place), body, &s->scratch) < 0)
			return bf_err_sys(err, -ENOMEM, "config_store");
		body = bf_buf_slice(&s->scratch);
	}
	bind_text(s->put, 1, bf_slice_from(def->name));
	bind_text(s->put, 2, x->e.id);
	(void)sqlite3_bind_int64(s->put, 3, (int64_t)x->e.version);
	(void)sqlite3_bind_int64(s->put, 4, (int64_t)x->hlc);
	(void)sqlite3_bind_int64(s->put, 5, x->e.flags & ~(uint32_t)BF_ENTITY_QUARANTINED);
	(void)sqlite3_bind_int64(s->put, 6, x->e.created_ms);
	(void)sqlite3_bind_int64(s->put, 7, x->e.updated_ms);
	bind_text(s->put, 8, x->e.name);
	bind_text(s->put, 9, x->e.scope);
	bind_blob(s->put, 10, body);
	(void)sqlite3_bind_int(s->put, 11, seals);
	bind_blob(s->put, 12, (struct bf_slice){(const char *)x->e.secret, sizeof(x->e.secret)});
	bind_blob(s->put, 13, (struct bf_slice){(const char *)x->file_hash, sizeof(x->file_hash)});
	return run(s, s->put, err);
}

int entity_store_prune(struct entity_store *s, int64_t before_ms, struct bf_err *err)
{
	sqlite3_stmt *st = NULL;
	int r = prepare(s,
			"DELETE FROM entities WHERE updated_ms < ?1 AND (type = 'session_end' OR "
			"(flags & 1 AND file_hash = zeroblob(32)))",
			&st, err);

	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(st, 1, before_ms);
	r = sqlite3_step(st) == SQLITE_DONE ? 0 : no(s, err);
	(void)sqlite3_finalize(st);
	return r;
}

int entity_store_remove(struct entity_store *s, const struct bf_entity *e, struct bf_err *err)
{
	sqlite3_stmt *st = NULL;
	int r = goes_on(s, err);

	if (r == 0)
		r = prepare(s, "DELETE FROM entities WHERE type = ?1 AND id = ?2", &st, err);
	if (r < 0)
		return r;
	bind_text(st, 1, bf_slice_from(bf_entity_def(e->type)->name));
	bind_text(st, 2, e->id);
	r = sqlite3_step(st) == SQLITE_DONE ? 0 : no(s, err);
	(void)sqlite3_finalize(st);
	return r;
}
