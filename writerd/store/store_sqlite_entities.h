/*
 * The entities in config.db, and the pepper of the hashes of their secrets. What holds secrets is
 * sealed with the key of the configuration, or not kept at all. Calls block for a disk: only
 * writerd may make them.
 */
#pragma once

#include "common/base/err.h"
#include "common/base/slice.h"
#include "writerd/entity/entities.h"

struct entity_store;

/*
 * Opens or creates the database and reads the pepper, which is made at the first time; not when
 * there was one before (is_known), which would be forgotten: then BF_E_MISSING. Other errors as in
 * sqlite_db_open; BF_E_DENIED: it was sealed with another encryption_key, or is sealed and
 * encryption_key is empty. An encryption_key that is given for the first time seals what there is.
 */
int entity_store_open(const char *path, struct bf_slice encryption_key, bool is_known,
		      struct entity_store **ret_store, uint8_t ret_pepper[32], struct bf_err *err);
/* As it is, where nothing can be written: it is for entity_store_load() alone, and to be closed at
 * once. Of one that was never whole: BF_E_MISSING, or as above. */
int entity_store_look(const char *path, struct bf_slice encryption_key,
		      struct entity_store **ret_store, uint8_t ret_pepper[32], struct bf_err *err);
void entity_store_close(struct entity_store *s); /* accepts NULL */

/* Can secrets be kept? */
bool entity_store_seals(const struct entity_store *s);

/* All of them, the oldest first, with tombstones. Slices live during the call. A negative result
 * of each ends it and is returned. */
typedef int (*entity_store_each)(void *ctx, const struct bf_entity *e, uint64_t hlc,
				 const uint8_t file_hash[32], struct bf_err *err);
int entity_store_load(struct entity_store *s, entity_store_each each, void *ctx,
		      struct bf_err *err);

/* What nobody asks for any more: tombstones of before, unless the file would bring them back, and
 * sessions that were logged out so long ago that they have ended. */
int entity_store_prune(struct entity_store *s, int64_t before_ms, struct bf_err *err);

/* One transaction: all of them or none. A sealed type without a key is passed over. */
int entity_store_begin(struct entity_store *s, struct bf_err *err);
int entity_store_put(struct entity_store *s, const struct entity *x, struct bf_err *err);
/* As if it had never been. */
int entity_store_remove(struct entity_store *s, const struct bf_entity *e, struct bf_err *err);
int entity_store_commit(struct entity_store *s, struct bf_err *err);
void entity_store_rollback(struct entity_store *s);
