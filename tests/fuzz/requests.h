/* SPDX-License-Identifier: MIT */
/* The ioctls that the fuzzer knows: on which files, and arguments that get past the first checks. Part of the tests. */
#ifndef KVMEMU_FUZZ_REQUESTS_H
#define KVMEMU_FUZZ_REQUESTS_H

#include "input.h"

enum kind { NO_FILE, SYSTEM, VM, VCPU, DEVICE, STATS };

#define ON(kind) (1u << (kind))
#define ARGUMENT_MAX 1024

struct request {
	unsigned long number;
	unsigned int kinds;		/* of files that take it, as ON() bits */
	enum kind creates;
	size_t bytes;			/* of the structure its argument points to; 0: the argument is a number */
	size_t pointer;			/* offset of a pointer in it, 0: none */
	bool descriptors;		/* it holds numbers of descriptors */
	void (*fill)(struct input *in, void *argument);		/* NULL: any bytes will do */
	uint64_t (*number_argument)(struct input *in);		/* if bytes is 0; NULL: any number will do */
};

extern const struct request requests[];
extern const size_t nr_requests;

/* Register ids of the built-in hosts' vCPUs; requests_setup() finds them. */
bool requests_setup(void);
uint64_t take_register_id(struct input *in);

/* Writes to one of the eventfds that interrupts and doorbells are tied to; or another one takes its place. */
void signal_eventfd(struct input *in);

#endif
