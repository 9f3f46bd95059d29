/* SPDX-License-Identifier: MIT */
/*
 * Many registers in one call, as savers want them. Layer: ioctl.
 *
 * The caller's memory is read and written a chunk of registers at a time, which makes a register cheaper than its own
 * copy would be. A chunk that meets an address nobody may use has changed nothing yet: from there on the registers go
 * one by one, so that the call stops at exactly the one whose memory is bad.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "../reg/reg.h"
#include "../vm/vcpu.h"
#include "one_reg.h"
#include "user.h"

#define CHUNK_IDS 64

struct chunk {
	struct vcpu *vcpu;
	uint64_t ids[CHUNK_IDS];
	size_t n;		/* ids in it */
	size_t done;		/* of them, registers read or written */
	size_t bytes;		/* of values, of those done */
	/* As long as its values may be together; one more than that fits, for an id that is not what its size says. */
	unsigned char values[(CHUNK_IDS + 1) * sizeof(uint64_t) + REG_MAX_BYTES];
};

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Whether a value of so many bytes still goes into the chunk, behind the `at` bytes of those before it. */
static bool fits(const struct chunk *chunk, size_t at, size_t bytes)
{
	return at + min(bytes, REG_MAX_BYTES) <= sizeof(chunk->values) - sizeof(uint64_t);
}

/* Reads registers into the chunk and copies them out together. */
static int chunk_get(struct chunk *chunk, uint64_t values, size_t room)
{
	int err = 0;

	for (; chunk->done < chunk->n; chunk->done++) {
		uint64_t id = chunk->ids[chunk->done];
		size_t bytes = reg_id_bytes(id);

		if (!fits(chunk, chunk->bytes, bytes))
			break;
		if (room - chunk->bytes < bytes)
			err = -E2BIG;
		else
			err = one_reg_get(chunk->vcpu, id, chunk->values + chunk->bytes, &bytes);
		if (err)
			break;
		chunk->bytes += bytes;
	}
	if (user_write(values, chunk->values, chunk->bytes)) {
		chunk->done = chunk->bytes = 0;
		return -EFAULT;
	}
	return err;
}

static int fetch_from_chunk(const struct reg_input *input, void *value, size_t bytes)
{
	/* Nearly all are of 8 bytes, which then is one move instead of a call. */
	if (bytes == sizeof(uint64_t))
		memcpy(value, (const void *)(uintptr_t)input->addr, sizeof(uint64_t));
	else
		memcpy(value, (const void *)(uintptr_t)input->addr, bytes);
	return 0;
}

/* Copies the values in together and writes the registers. */
static int chunk_set(struct chunk *chunk, uint64_t values, size_t room)
{
	struct reg_input input = { .fetch = fetch_from_chunk };
	size_t n, total = 0, bytes;
	int err = 0;

	for (n = 0; n < chunk->n; n++) {
		bytes = reg_id_bytes(chunk->ids[n]);
		if (room - total < bytes)
			err = -E2BIG;
		if (err || !fits(chunk, total, bytes))
			break;
		/* An id of more bytes than any register has is refused without a look at them. */
		total += min(bytes, REG_MAX_BYTES);
	}
	if (user_read(chunk->values, values, total))
		return -EFAULT;
	for (; chunk->done < n; chunk->done++) {
		int refused;

		input.addr = (uintptr_t)chunk->values + chunk->bytes;
		refused = one_reg_set(chunk->vcpu, chunk->ids[chunk->done], &input);
		if (refused)
			return refused;
		chunk->bytes += reg_id_bytes(chunk->ids[chunk->done]);
	}
	return err;
}

static int batch(struct vcpu *vcpu, int (*access)(struct chunk *chunk, uint64_t values, size_t room), uint64_t ids,
		 size_t n, uint64_t values, size_t room, size_t *done)
{
	size_t most = CHUNK_IDS, at = 0;
	struct chunk chunk;

	chunk.vcpu = vcpu;
	while (*done < n) {
		int err;

		chunk.n = min(n - *done, most);
		chunk.done = chunk.bytes = 0;
		err = user_read(chunk.ids, ids + *done * sizeof(uint64_t), chunk.n * sizeof(uint64_t));
		if (!err)
			err = access(&chunk, values + at, room - at);
		*done += chunk.done;
		at += chunk.bytes;
		if (err == -EFAULT && most > 1)
			most = 1;
		else if (err)
			return err;
	}
	return 0;
}

static int batch_on(struct kvmemu_file *file, int (*access)(struct chunk *chunk, uint64_t values, size_t room),
		    const uint64_t *ids, size_t n, uint64_t values, size_t values_bytes, size_t *done)
{
	int err = reg_access_begin(file);

	*done = 0;
	if (err)
		return err;
	err = batch(file->vcpu, access, (uintptr_t)ids, n, values, values_bytes, done);
	reg_access_end(file);
	return err;
}

int kvmemu_get_regs(struct kvmemu_file *vcpu, const uint64_t *ids, size_t n, void *values, size_t values_bytes,
		    size_t *done)
{
	return batch_on(vcpu, chunk_get, ids, n, (uintptr_t)values, values_bytes, done);
}

int kvmemu_set_regs(struct kvmemu_file *vcpu, const uint64_t *ids, size_t n, const void *values, size_t values_bytes,
		    size_t *done)
{
	return batch_on(vcpu, chunk_set, ids, n, (uintptr_t)values, values_bytes, done);
}
