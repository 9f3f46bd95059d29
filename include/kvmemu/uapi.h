/* SPDX-License-Identifier: MIT */
/*
 * KVM's numbers and structures for arm64 (Linux 6.1) and 32-bit arm (Linux 5.6,
 * the last release that had arch/arm/kvm). Belongs to no layer: all include it,
 * and no number in it is written a second time anywhere.
 *
 * Names are Linux's, so code reads as it would with <linux/kvm.h>. Facts come
 * from Linux 6.1: include/uapi/linux/kvm.h, arch/arm64/include/uapi/asm/kvm.h,
 * include/uapi/linux/psci.h. tests/unit/test_uapi.py compares every value and
 * every field with those headers.
 *
 * Together with <linux/kvm.h>: in an arm64 program include that one first; it
 * then supplies everything but the 32-bit arm names. Elsewhere the two cannot be
 * in one file: x86's <asm/kvm.h> has other structures under the same names.
 *
 * Needs <stdint.h> only. 64-bit hosts only: two structures hold a pointer.
 */
#ifndef KVMEMU_UAPI_H
#define KVMEMU_UAPI_H

#include <stdint.h>

#if defined(__LINUX_KVM_H) && !defined(__aarch64__)
#error "kvmemu/uapi.h has arm64's KVM structures: do not include this machine's <linux/kvm.h> too"
#endif

#ifdef __LINUX_KVM_H
/* Linux takes these two from <asm/ptrace.h>; see uapi/structs.h for ours. */
#define kvmemu_user_pt_regs	user_pt_regs
#define kvmemu_user_fpsimd_state user_fpsimd_state
#else
#include "uapi/structs.h"
#include "uapi/run.h"
#include "uapi/ioctls.h"
#include "uapi/caps.h"
#include "uapi/devices.h"
#include "uapi/registers.h"
#include "uapi/psci.h"
#endif

#include "uapi/arm32.h"

#endif /* KVMEMU_UAPI_H */
