/* SPDX-License-Identifier: MIT */
/*
 * The host's distributor: the machine's own interrupts, and who claimed them. Layer: machine. Knows no VM.
 * Source: Arm IHI 0069, 4.1; Arm IHI 0048, 3.2.
 *
 * An interrupt fires when it is pending, enabled, claimed and not active. It is then active, and its handler runs, on the
 * thread that made it fire. A handler ends it, or leaves it active because a guest is to end it: a guest's deactivation
 * of a list register with HW does (host_irq_deactivate()), and a device whose line is still up fires again.
 *
 * An interrupt's state is one atomic word: there is no lock, so that a fork leaves none taken, and a handler may take its
 * own. An INTID names an SPI (32..1019) of the machine, or a PPI (16..31) of the CPU that is given; SGIs are the host's
 * own. EINVAL for anything else.
 */
#ifndef KVMEMU_MACHINE_HOST_GIC_H
#define KVMEMU_MACHINE_HOST_GIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct machine;
struct pcpu;

#define HOST_FIRST_PPI 16u
#define HOST_FIRST_SPI 32u
#define HOST_LAST_SPI 1019u
#define HOST_NR_PPIS (HOST_FIRST_SPI - HOST_FIRST_PPI)
#define HOST_NR_SPIS (HOST_LAST_SPI - HOST_FIRST_SPI + 1)

/* Bits of an interrupt's state. */
#define HOST_IRQ_LINE (1u << 0)		/* the input is up */
#define HOST_IRQ_LATCH (1u << 1)	/* pending by an edge, or by software, until acknowledged */
#define HOST_IRQ_ACTIVE (1u << 2)
#define HOST_IRQ_ENABLED (1u << 3)
#define HOST_IRQ_EDGE (1u << 4)		/* else level */
#define HOST_IRQ_RUNNING (1u << 5)	/* its handler is: it does not fire again until that returns */

typedef _Atomic uint32_t host_irq_state;

enum host_irq_return {
	HOST_IRQ_HANDLED,	/* the host ended it: not active any more */
	HOST_IRQ_FORWARDED,	/* a guest will end it: stays active */
};

/* cpu is whose PPI it is; NULL for an SPI. May use all functions below but release of its own interrupt. */
typedef enum host_irq_return (*host_irq_handler)(struct pcpu *cpu, uint32_t intid, void *data);

struct host_claim {
	atomic_bool taken;
	_Atomic(host_irq_handler) handler;	/* NULL: not yet, or not any more */
	void *data;
	atomic_uint users;	/* threads that look at handler and data */
	pid_t process;		/* whose threads those are */
};

struct host_gic {
	host_irq_state spi[HOST_NR_SPIS];
	struct host_claim claim[HOST_NR_PPIS + HOST_NR_SPIS];
};

/*
 * Who has an interrupt. Claiming enables an SPI; PPIs are enabled on each CPU by host_irq_set_enabled(). EBUSY if it is
 * claimed already. Releasing disables an SPI, clears its latch and its active state, and returns when no handler runs:
 * not to be called by the handler. ENOENT if it was not claimed.
 */
int host_irq_claim(struct machine *machine, uint32_t intid, host_irq_handler handler, void *data);
int host_irq_release(struct machine *machine, uint32_t intid);

/*
 * State. cpu is whose PPI it is; for an SPI it is not looked at. Each returns 0 or EINVAL; those that ask, 0 or 1.
 */

/* Level or edge; level to begin with. */
int host_irq_set_edge(struct machine *machine, struct pcpu *cpu, uint32_t intid, bool edge);

/* The device's line. An edge interrupt latches where it rises. */
int host_irq_set_line(struct machine *machine, struct pcpu *cpu, uint32_t intid, bool up);

/* GICD_ISENABLER, ISPENDR, ISACTIVER and their opposites, as a host's kernel uses them. */
int host_irq_set_enabled(struct machine *machine, struct pcpu *cpu, uint32_t intid, bool enabled);
int host_irq_set_pending(struct machine *machine, struct pcpu *cpu, uint32_t intid, bool pending);
int host_irq_set_active(struct machine *machine, struct pcpu *cpu, uint32_t intid, bool active);
int host_irq_is_enabled(struct machine *machine, struct pcpu *cpu, uint32_t intid);
int host_irq_is_pending(struct machine *machine, struct pcpu *cpu, uint32_t intid);
int host_irq_is_active(struct machine *machine, struct pcpu *cpu, uint32_t intid);

/* What a list register with HW does when its guest deactivates it: a PPI of this CPU, or an SPI. Others are ignored. */
void host_irq_deactivate(struct pcpu *cpu, uint32_t pintid);

#endif
