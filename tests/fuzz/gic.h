/* SPDX-License-Identifier: MIT */
/* The GIC in a fuzzing session: attributes that name registers, a device that is ready, what is not an ioctl. */
#ifndef KVMEMU_FUZZ_GIC_H
#define KVMEMU_FUZZ_GIC_H

#include "session.h"

/* Finds the registers that there are. */
bool gic_setup(void);

/* A fill function for the device attributes of a GIC. */
void fill_gic_attr(struct input *in, void *argument);

/* A GIC for a VM, of the kind that its host has, with its frames in place; mostly initialised. */
void make_gic(struct session *s, struct kvmemu_file *vm);

/* Many attributes at a time, and looks inside. */
void gic_batch(struct session *s);
void gic_inspect(struct session *s);

void guest_action(struct session *s);

#endif
