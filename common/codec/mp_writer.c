/*
 * MessagePack writer: msgpack-c's packer into a bf_buf. Called by the schema encoder and the
 * control channel. Never leaves a half-written value without an error.
 */
#include <msgpack/pack.h>

#include "common/base/err.h"
#include "common/codec/mp.h"

static int append(void *data, const char *bytes, size_t len)
{
	struct bf_mp_writer *w = data;

	if (w->error == 0)
		w->error = bf_buf_append(w->out, bytes, len);
	return w->error ? -1 : 0;
}

static msgpack_packer packer_of(struct bf_mp_writer *w)
{
	return (msgpack_packer){.data = w, .callback = append};
}

void bf_mp_writer_init(struct bf_mp_writer *w, struct bf_buf *out)
{
	*w = (struct bf_mp_writer){.out = out};
}

/* The packer's results are not looked at: append keeps the first error. */
void bf_mp_write_nil(struct bf_mp_writer *w)
{
	msgpack_packer pk = packer_of(w);

	(void)msgpack_pack_nil(&pk);
}

void bf_mp_write_bool(struct bf_mp_writer *w, bool v)
{
	msgpack_packer pk = packer_of(w);

	(void)(v ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk));
}

void bf_mp_write_i64(struct bf_mp_writer *w, int64_t v)
{
	msgpack_packer pk = packer_of(w);

	(void)msgpack_pack_int64(&pk, v);
}

void bf_mp_write_u64(struct bf_mp_writer *w, uint64_t v)
{
	msgpack_packer pk = packer_of(w);

	(void)msgpack_pack_uint64(&pk, v);
}

static bool too_long(struct bf_mp_writer *w, size_t len)
{
	if (len <= UINT32_MAX)
		return false;
	if (w->error == 0)
		w->error = BF_E_LIMIT;
	return true;
}

void bf_mp_write_str(struct bf_mp_writer *w, struct bf_slice s)
{
	msgpack_packer pk = packer_of(w);

	if (too_long(w, s.len))
		return;
	(void)msgpack_pack_str(&pk, s.len);
	(void)msgpack_pack_str_body(&pk, s.ptr, s.len);
}

void bf_mp_write_bin(struct bf_mp_writer *w, struct bf_slice s)
{
	msgpack_packer pk = packer_of(w);

	if (too_long(w, s.len))
		return;
	(void)msgpack_pack_bin(&pk, s.len);
	(void)msgpack_pack_bin_body(&pk, s.ptr, s.len);
}

void bf_mp_write_array(struct bf_mp_writer *w, uint32_t count)
{
	msgpack_packer pk = packer_of(w);

	(void)msgpack_pack_array(&pk, count);
}

void bf_mp_write_map(struct bf_mp_writer *w, uint32_t count)
{
	msgpack_packer pk = packer_of(w);

	(void)msgpack_pack_map(&pk, count);
}

int bf_mp_writer_finish(const struct bf_mp_writer *w)
{
	return w->error;
}
