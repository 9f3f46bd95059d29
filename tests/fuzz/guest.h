/* SPDX-License-Identifier: MIT */
/* Guests in a fuzzing session. Part of the tests. */
#ifndef KVMEMU_FUZZ_GUEST_H
#define KVMEMU_FUZZ_GUEST_H

#include "session.h"

/* Where guests have the memory that is written to. */
#define MEMORY_IPA 0x400000u

/*
 * A vCPU gets a guest, as long as there are some: each has a context of its own until the session ends, since one that two
 * vCPUs execute would not do the same again.
 */
void give_guest(struct session *s, struct kvmemu_file *vcpu);

/* A vCPU runs, mostly with a guest; or gets one, loses it, or takes over another's. */
void guest_run(struct session *s);

/* Interrupts of the host that a guest has, and their lines. */
void guest_forward(struct session *s);

#endif
