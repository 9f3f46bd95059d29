/* SPDX-License-Identifier: MIT */
/* A fuzzing session's ioctls. Part of the tests. */
#include <kvmemu/uapi.h>

#include "session.h"

/* Any bytes, but where they could be an address it is nobody's. */
static void fill_at_random(struct input *in, void *argument, size_t bytes)
{
	uint64_t *words = argument;

	take_bytes(in, argument, bytes < 64 ? bytes : 64);
	for (size_t i = 0; i < bytes / 8; i++)
		if (words[i] >> 20)
			words[i] |= NOWHERE;
}

/* Flips bits of a byte, but not of a pointer (see NOWHERE) or a descriptor, which might be anybody's. */
static void disturb(struct input *in, char *argument, const struct request *request)
{
	size_t at = choose(in, (unsigned int)request->bytes);

	if (request->descriptors)
		return;
	if (!request->pointer || at < request->pointer || at >= request->pointer + 8)
		argument[at] ^= (char)take(in, 1);
}

uint64_t make_argument(struct session *s, const struct request *request)
{
	_Alignas(16) char argument[ARGUMENT_MAX] = { 0 };
	uint64_t address;

	if (!request->bytes)
		return request->number_argument ? request->number_argument(&s->in) :
						  (choose(&s->in, 4) ? 0 : take_number(&s->in));
	if (request->fill)
		request->fill(&s->in, argument);
	else if (once_in(&s->in, 2))
		fill_at_random(&s->in, argument, request->bytes);
	if (once_in(&s->in, 8))
		disturb(&s->in, argument, request);
	address = take_address(&s->in, request->bytes);
	store(address, argument, request->bytes);
	return address;
}

enum kind created_by(unsigned long number)
{
	for (size_t i = 0; i < nr_requests; i++)
		if (requests[i].number == (uint32_t)number && requests[i].creates)
			return requests[i].creates;
	return NO_FILE;
}

static void call(struct session *s, struct kvmemu_file *file, const struct request *request)
{
	struct kvmemu_file *const nothing = (struct kvmemu_file *)s, *created = nothing;
	uint64_t argument = make_argument(s, request);
	bool place = choose(&s->in, 16) > 0;
	long ret = counted(kvmemu_ioctl(file, request->number, argument, place ? &created : NULL));

	if (created == nothing)
		return;
	expect(!ret && created_by(request->number), "a file is created by requests that create one, with result 0");
	keep_file(s, created, created_by(request->number));
}

void call_number(struct session *s, struct kvmemu_file *file, unsigned long number)
{
	for (size_t i = 0; i < nr_requests; i++)
		if (requests[i].number == number) {
			call(s, file, &requests[i]);
			return;
		}
}

void call_fitting(struct session *s)
{
	unsigned int fitting = 0, which;
	enum kind kind = NO_FILE;
	struct kvmemu_file *file = any_file(s, &kind);

	for (size_t i = 0; i < nr_requests; i++)
		fitting += requests[i].kinds & ON(kind) ? 1 : 0;
	if (!fitting)
		return;
	which = choose(&s->in, fitting);
	for (size_t i = 0; i < nr_requests; i++)
		if (requests[i].kinds & ON(kind) && !which--) {
			call(s, file, &requests[i]);
			return;
		}
}

void call_beside(struct session *s)
{
	const struct request *request = &requests[choose(&s->in, (unsigned int)nr_requests)];
	struct kvmemu_file *file = file_of_kind(s, once_in(&s->in, 2) ? VM : DEVICE);

	if (file && !request->creates)
		call(s, file, request);
}

/* Several at once. */
void call_several(struct session *s)
{
	struct kvmemu_call calls[6] = { { 0 } };
	uint64_t address = take_address(&s->in, sizeof(calls));
	size_t n = choose(&s->in, 7);
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	for (size_t i = 0; i < n; i++) {
		const struct request *request = &requests[choose(&s->in, (unsigned int)nr_requests)];

		calls[i].request = request->number;
		calls[i].arg = make_argument(s, request);
	}
	store(address, calls, sizeof(calls));
	if (file)
		counted(kvmemu_ioctls(file, (struct kvmemu_call *)address, n));
}

void call_any(struct session *s)
{
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (file)
		call(s, file, &requests[choose(&s->in, (unsigned int)nr_requests)]);
}

void call_any_number(struct session *s)
{
	struct request request = { .number = take(&s->in, 4), .bytes = 64 };
	enum kind kind;
	struct kvmemu_file *file = any_file(s, &kind);

	if (once_in(&s->in, 2))
		request.number = KVMIO << 8 | (request.number & 0xc0ff00ff) | (uint64_t)choose(&s->in, 128) << 16;
	if (file && request.number != KVM_RUN)
		call(s, file, &request);
}
