/* SPDX-License-Identifier: MIT */
/* The state of a fuzzing session: files and descriptors that are open, and the calls made on them. Part of the tests. */
#ifndef KVMEMU_FUZZ_SESSION_H
#define KVMEMU_FUZZ_SESSION_H

#include <kvmemu.h>

#include "requests.h"

#define NR_FILES 16
#define NR_FDS 8
#define NR_GUESTS 8

struct session;

/* A guest, and where it is. */
struct guest {
	struct session *session;
	unsigned int left;	/* operations until it exits */
	bool again;		/* the operation below has to be executed again */
	uint64_t taken;		/* what it has read last: of an acknowledge register, an interrupt to end */
	unsigned int what;
	uint32_t bytes;
	uint16_t encoding;
	uint64_t address, value;
};

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
	bool v2;			/* which GIC was made last */
	struct guest guests[NR_GUESTS];
	unsigned int nr_guests;
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

/* In begin.c: the built-in hosts; a system of one, or of a made-up one; what every session would make sooner or later. */
bool hosts_setup(void);
void open_system(struct session *s);
void begin(struct session *s);

/* In calls.c: a request's argument, made up from the input; what one that succeeds has made, NO_FILE for most. */
uint64_t make_argument(struct session *s, const struct request *request);
enum kind created_by(unsigned long number);

/* A request that the file has, or any, known or not; several at once; a certain one. */
void call_fitting(struct session *s);
void call_any(struct session *s);
void call_any_number(struct session *s);
void call_several(struct session *s);
void call_number(struct session *s, struct kvmemu_file *file, unsigned long number);

/* A call on a VM or device, of those that a running vCPU has nothing to fear from. */
void call_beside(struct session *s);

/* In run.c: KVM_RUN without waiting for ever; and one that waits a little, so that a guest runs. */
bool run_setup(void);
void run_vcpu(struct session *s, struct kvmemu_file *vcpu);
void wake_vcpu(struct session *s, struct kvmemu_file *vcpu);
void run_any(struct session *s);

/* The caller shares the pages of kvm_run and may write anything to them at any time. */
void scribble_on_run_pages(struct session *s);

/* In registers.c: batches, registers by their ids, all of a vCPU, names. */
void register_batch(struct session *s);
void one_register(struct session *s);
void read_all_and_write_back(struct session *s);
void register_names(struct session *s);

/* In descriptors.c: something with real descriptors; and closing them all. */
void descriptor_action(struct session *s);
void close_descriptors(struct session *s);

#endif
