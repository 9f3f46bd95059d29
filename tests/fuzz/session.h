/* SPDX-License-Identifier: MIT */
/* The state of a fuzzing session: files and descriptors that are open, and the calls made on them. Part of the tests. */
#ifndef KVMEMU_FUZZ_SESSION_H
#define KVMEMU_FUZZ_SESSION_H

#include <kvmemu.h>

#include "requests.h"

#define NR_FILES 16
#define NR_FDS 8

struct session {
	struct input in;
	struct {
		struct kvmemu_file *file;
		enum kind kind;
	} files[NR_FILES];
	struct {
		int fd;				/* -1: none */
		enum kind kind;
		bool closed;			/* behind the library's back: the number is still known to it */
	} fds[NR_FDS];
};

/* Ends the program if something is not as the interface says. */
void expect(bool good, const char *what);

/* Counts a call; what it returned must be >= 0 or an errno. */
long counted(long result);

/* Takes over a file, in the place of another one if need be. */
void keep_file(struct session *s, struct kvmemu_file *file, enum kind kind);
struct kvmemu_file *any_file(struct session *s, enum kind *kind);
struct kvmemu_file *file_of_kind(struct session *s, enum kind kind);
void close_file(struct session *s, unsigned int at);

/* A request's argument, made up from the input. */
uint64_t make_argument(struct session *s, const struct request *request);

/* What a request that succeeds has made; NO_FILE for most. */
enum kind created_by(unsigned long number);

/* KVM_RUN without waiting for ever. */
void run_vcpu(struct session *s, struct kvmemu_file *vcpu);

/* In registers.c: batches, registers by their ids, all of a vCPU, names. */
void register_batch(struct session *s);
void one_register(struct session *s);
void read_all_and_write_back(struct session *s);
void register_names(struct session *s);

/* In descriptors.c: something with real descriptors; and closing them all. */
void descriptor_action(struct session *s);
void close_descriptors(struct session *s);

#endif
