/* SPDX-License-Identifier: MIT */
/* Prints what a host profile holds beside KVM's own answers: "key value" lines. Part of the tests' recorder. */
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/utsname.h>

int main(void)
{
	struct utsname name;
	glob_t pmus;
	uint64_t hz;

	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	uname(&name);
	printf("kernel %s\ncounter.hz %llu\n", name.release, (unsigned long long)hz);
	if (!glob("/sys/bus/event_source/devices/armv8*/type", 0, NULL, &pmus)) {
		FILE *file = fopen(pmus.gl_pathv[0], "r");
		int type;

		if (file && fscanf(file, "%d", &type) == 1)
			printf("pmu.type %d\n", type);
	}
	return 0;
}
