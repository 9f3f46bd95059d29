/* SPDX-License-Identifier: MIT */
/* Between the fuzz target and the program that drives it without libFuzzer. Part of the tests. */
#ifndef KVMEMU_FUZZ_H
#define KVMEMU_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Calls into the library so far, and how many of them ended with each errno; [0] counts those that worked. */
#define FUZZ_NR_ERRORS 200
extern uint64_t fuzz_calls, fuzz_results[FUZZ_NR_ERRORS];

/* libFuzzer's two entry points. A session: whatever the bytes say is opened, called and closed again. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
