/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: runs the statements of a script against /dev/kvm and prints the script
 * with its answers. Part of the tests.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "script.h"

struct run {
	struct script *script;
	struct output *out;
	const char *at; /* source text not yet copied to the output */
	unsigned int line;
	size_t answer; /* the next of script->answers */
	unsigned int alarm_ms;
};

/* ---- copying the source ---- */

static void copy_lines(struct run *run, unsigned int last)
{
	const struct script *s = run->script;
	const char *end = s->text + s->length;

	for (; run->line <= last && run->at < end; run->line++) {
		const char *newline = memchr(run->at, '\n', end - run->at);
		size_t n = (newline ? newline : end) - run->at;

		while (run->answer < s->answer_count && s->answers[run->answer].last < run->line)
			run->answer++;
		if (run->answer == s->answer_count || s->answers[run->answer].first > run->line) {
			out_bytes(run->out, run->at, n);
			out_bytes(run->out, "\n", 1);
		}
		run->at = newline ? newline + 1 : end;
	}
}

/* ---- answers ---- */

static void print_errno(struct output *out, int number)
{
	const char *name = errno_name(number);

	if (name)
		out_tokenf(out, "-%s", name);
	else
		out_tokenf(out, "-%d", number);
}

/* result: >= 0, or -errno; word: what stands for success, or NULL for the number itself */
static void print_result(struct run *run, long result, const char *word)
{
	out_token(run->out, "=", 1);
	if (result < 0)
		print_errno(run->out, -result);
	else if (word)
		out_token(run->out, word, strlen(word));
	else
		out_tokenf(run->out, "%ld", result);
}

static long call_result(long result)
{
	return result < 0 ? -errno : result;
}

static struct name *name_of(struct run *run, size_t index)
{
	return &run->script->names[index];
}

static int run_fail(struct run *run, const struct statement *st, const char *what)
{
	snprintf(run->script->message, MESSAGE_BYTES_MAX, "%s:%u: %s: %s", run->script->file,
		 st->first_line, what, strerror(errno));
	return -1;
}

/* ---- statements on descriptors ---- */

static void run_new_fd(struct run *run, const struct statement *st, int fd)
{
	long result = call_result(fd);

	name_of(run, st->created)->fd = fd;
	print_result(run, result, "fd");
}

bool request_creates(uint64_t request)
{
	return request == KVM_CREATE_VM || request == KVM_CREATE_VCPU ||
	       request == KVM_CREATE_DEVICE || request == KVM_GET_STATS_FD;
}

/* the descriptor that a successful KVM_CREATE_DEVICE stored, or -1 */
static int created_device(uint64_t arg)
{
	struct kvm_create_device device;

	memcpy(&device, (void *)(uintptr_t)arg, sizeof(device));
	return device.flags & KVM_CREATE_DEVICE_TEST ? -1 : (int)device.fd;
}

static void run_ioctl(struct run *run, const struct statement *st)
{
	uint64_t request = value_number(run->script, &st->request);
	struct block *block = st->arg.kind == VALUE_BLOCK ? st->arg.block : NULL;
	const char *word = st->is_volatile ? "?" : NULL;
	char device_name[128] = "";
	uint64_t arg;
	long result;
	int fd;

	if (block)
		block_store(run->script, block);
	arg = value_number(run->script, &st->arg);
	result = call_result(ioctl(name_of(run, st->name)->fd, request, arg));
	fd = result;
	if (request == KVM_CREATE_DEVICE) {
		fd = result ? -1 : created_device(arg);
		if (fd >= 0)
			snprintf(device_name, sizeof(device_name), "?");
		if (fd >= 0 && st->created != NO_NAME)
			snprintf(device_name, sizeof(device_name), "fd:%s",
				 name_of(run, st->created)->text);
	} else if (request_creates(request)) {
		word = "fd";
	}
	if (st->created != NO_NAME) {
		name_of(run, st->created)->fd = fd < 0 ? -1 : fd;
		guest_created(name_of(run, st->created), name_of(run, st->name), request, arg);
	}
	print_result(run, result, word);
	/* how much was copied before a bad address was met is nobody's promise */
	if (block && result != -EFAULT && (*device_name || block_changed(block)))
		print_block(run->out, block, *device_name ? device_name : NULL);
}

size_t reg_bytes(uint64_t id)
{
	return (size_t)1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

static void run_reg(struct run *run, const struct statement *st)
{
	size_t n = reg_bytes(st->offset);
	unsigned char *memory = block_memory(n);
	struct kvm_one_reg reg = { .id = st->offset, .addr = (uintptr_t)memory };
	unsigned long request = st->op == OP_GET ? KVM_GET_ONE_REG : KVM_SET_ONE_REG;
	long result;

	memset(memory, 0, n);
	if (st->bytes)
		memcpy(memory, st->bytes, n);
	result = call_result(ioctl(name_of(run, st->name)->fd, request, &reg));
	print_result(run, result, st->is_volatile ? "?" : NULL);
	if (st->op == OP_GET && !result && !st->is_volatile)
		print_hex(run->out, memory, n);
}

static void run_read(struct run *run, const struct statement *st)
{
	struct item item = { .width = 1, .count = st->size, .value.text = "0x0" };
	struct block plain = { .items = &item, .item_count = 1, .bytes = st->size };
	struct block *block = st->block ? st->block : &plain;
	long result;

	block_store(run->script, block);
	result = call_result(pread(name_of(run, st->name)->fd, block->memory, st->size,
				   st->offset));
	print_result(run, result, st->is_volatile ? "?" : NULL);
	if (st->block && !st->is_volatile && block_changed(block))
		print_block(run->out, block, NULL);
	item.count = result;
	if (!st->block && !st->is_volatile && result > 0)
		print_block(run->out, block, NULL);
}

static void run_close(struct run *run, const struct statement *st)
{
	struct name *name = name_of(run, st->name);

	print_result(run, call_result(close(name->fd)), NULL);
	name->fd = -1;
}

static int run_eventfd(struct run *run, const struct statement *st)
{
	int fd = eventfd(st->size, st->offset);

	name_of(run, st->created)->fd = fd;
	return fd < 0 ? run_fail(run, st, "eventfd") : 0;
}

/* ---- statements on buffers ---- */

static int run_buffer(struct run *run, const struct statement *st)
{
	struct name *buffer = name_of(run, st->created);

	buffer->address = guarded_memory(buffer->size);
	return buffer->address ? 0 : run_fail(run, st, "no memory for the buffer");
}

/* The address stays reserved, so that no later mapping appears behind a name that is gone. */
static int run_unmap(struct run *run, const struct statement *st)
{
	struct name *buffer = name_of(run, st->name);

	if (!buffer->address)
		return 0;
	if (mmap(buffer->address, buffer->size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return run_fail(run, st, "unmap");
	return 0;
}

static void run_mmap(struct run *run, const struct statement *st)
{
	struct name *buffer = name_of(run, st->created);
	void *address = mmap(NULL, st->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			     name_of(run, st->name)->fd, st->offset);

	if (address != MAP_FAILED)
		buffer->address = address;
	print_result(run, address == MAP_FAILED ? -errno : 0, NULL);
}

/* through the kernel, so that a page that is not there is an error and no signal */
static bool copy_buffer(struct run *run, const struct statement *st)
{
	struct name *buffer = name_of(run, st->name);
	struct block *block = st->block;
	struct iovec here = { block->memory, block->bytes };
	struct iovec there = { NULL, block->bytes };
	ssize_t n;

	if (!buffer->address)
		return false;
	there.iov_base = buffer->address + st->offset;
	if (st->op == OP_PEEK)
		n = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
	else
		n = process_vm_writev(getpid(), &here, 1, &there, 1, 0);
	return n == (ssize_t)block->bytes;
}

static void run_peek_or_poke(struct run *run, const struct statement *st)
{
	bool copied;

	block_store(run->script, st->block);
	copied = copy_buffer(run, st);
	if (st->op == OP_POKE)
		return;
	print_result(run, copied ? 0 : -EFAULT, NULL);
	if (copied)
		print_block(run->out, st->block, NULL);
}

/* ---- all statements ---- */

static void on_alarm(int number)
{
	(void)number;
}

static void set_alarm(unsigned int ms)
{
	struct itimerval timer = { .it_value = { ms / 1000, ms % 1000 * 1000 } };

	/* On a busy machine it may come before the call it is to end: then it comes again. */
	if (ms)
		timer.it_interval.tv_usec = 100 * 1000;
	setitimer(ITIMER_REAL, &timer, NULL);
}

static int run_statement(struct run *run, const struct statement *st)
{
	switch (st->op) {
	case OP_HOST:
		break;
	case OP_OPEN:
		run_new_fd(run, st, open("/dev/kvm", O_RDWR | O_CLOEXEC));
		break;
	case OP_IOCTL:
		run_ioctl(run, st);
		break;
	case OP_GET:
	case OP_SET:
		run_reg(run, st);
		break;
	case OP_CLOSE:
		run_close(run, st);
		break;
	case OP_DUP:
		run_new_fd(run, st, dup(name_of(run, st->name)->fd));
		name_of(run, st->created)->guest = name_of(run, st->name)->guest;
		break;
	case OP_BUFFER:
		return run_buffer(run, st);
	case OP_UNMAP:
		return run_unmap(run, st);
	case OP_MMAP:
		run_mmap(run, st);
		break;
	case OP_POKE:
	case OP_PEEK:
		run_peek_or_poke(run, st);
		break;
	case OP_READ:
		run_read(run, st);
		break;
	case OP_EVENTFD:
		return run_eventfd(run, st);
	case OP_ALARM:
		run->alarm_ms = st->size;
		break;
	case OP_START:
		background_start(name_of(run, st->name));
		break;
	case OP_STOP:
		print_result(run, background_stop(name_of(run, st->name), st->size), NULL);
		break;
	case OP_GUEST:
		return run_guests(run->script, st, run->out);
	}
	return 0;
}

int script_run(struct script *script, struct output *out)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct run run = { .script = script, .out = out, .at = script->text, .line = 1 };

	sigaction(SIGALRM, &action, NULL);
	for (size_t i = 0; i < script->statement_count; i++) {
		const struct statement *st = &script->statements[i];
		unsigned int alarm_ms = run.alarm_ms;

		copy_lines(&run, st->last_line);
		out->line = st->first_line;
		out->column = 0;
		blocks_reset();
		run.alarm_ms = 0;
		if (alarm_ms)
			set_alarm(alarm_ms);
		if (run_statement(&run, st))
			return -1;
		if (alarm_ms)
			set_alarm(0);
		if (out->column)
			out_bytes(out, "\n", 1);
		if (out->used == sizeof(out->text)) {
			errno = EFBIG;
			return run_fail(&run, st, "the trace");
		}
	}
	copy_lines(&run, (unsigned int)-1);
	return 0;
}
