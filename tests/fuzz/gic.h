/* SPDX-License-Identifier: MIT */
/* The GIC in a fuzzing session: attributes that name registers, a device that is ready, what is not an ioctl. */
#ifndef KVMEMU_FUZZ_GIC_H
#define KVMEMU_FUZZ_GIC_H

#include "session.h"

/* Finds the registers that there are. */
bool gic_setup(void);

/* A fill function for the device attributes of a GIC. */
void fill_gic_attr(struct input *in, void *argument);

/* A GIC for a VM, of the kind that its host has, with its frames in place; mostly initialised, often with interrupts on. */
void make_gic(struct session *s, struct kvmemu_file *vm);

/* Many attributes at a time; one read and written back, with a bit changed; looks inside; a line up or down. */
void gic_batch(struct session *s);
void gic_change(struct session *s);
void gic_inspect(struct session *s);
void gic_line(struct session *s);

/* Where a guest finds a register; and where the frames begin, where make_gic() has put them. */
#define DIST_BASE 0x8000000u
#define CPU_BASE 0x8010000u
#define REDIST_BASE 0x80a0000u
uint64_t take_gic_address(struct input *in);

/* What a guest would do, done by hand: a store to somewhere, the end of an interrupt. */
void guest_action(struct session *s);

#endif
