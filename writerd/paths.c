/*
 * Paths of the stores. Called by both roles of this program before rights are dropped. Must never
 * open anything.
 */
#include "writerd/paths.h"

#include <errno.h>
#include <string.h>

int paths_resolve(struct bf_child *child, const struct bf_conf_store *conf, const char *block,
		  const char **ret_path, struct bf_err *err)
{
	const char *path;

	if (conf->path.len == 0)
		return bf_err_set(err, BF_E_MISSING, "%s: config.path: is empty: name a file",
				  block);
	if (conf->path.ptr[0] == '/')
		path = bf_arena_printf(&child->arena, "%.*s", BF_SLICE_FMT(conf->path));
	else
		path = bf_arena_printf(&child->arena, "%s/%.*s", child->state_dir,
				       BF_SLICE_FMT(conf->path));
	if (!path)
		return bf_err_set(err, -ENOMEM, "%s: config.path: is too long", block);
	*ret_path = path;
	return 0;
}

int paths_allow(struct bf_child *child, const char *path, const char *block, unsigned access,
		struct bf_sandbox_path *ret_rule, struct bf_err *err)
{
	const char *slash = strrchr(path, '/');
	char *folder;

	if (!slash || slash == path)
		return bf_err_set(err, BF_E_DENIED,
				  "%s: %s: lies in the root folder: give it a folder of its own",
				  block, path);
	folder = bf_arena_printf(&child->arena, "%.*s", (int)(slash - path), path);
	if (!folder)
		return bf_err_set(err, -ENOMEM, "%s: out of memory", block);
	*ret_rule = (struct bf_sandbox_path){folder, access};
	return 0;
}
