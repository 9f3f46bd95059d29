/* SPDX-License-Identifier: MIT */
/* Prints the errno of open("/dev/kvm"), 0 if it succeeds, three times over. Part of the tests. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	int first = 0;

	for (int i = 0; i < 3; i++) {
		int fd = open("/dev/kvm", O_RDWR), number = fd < 0 ? errno : 0;

		if (i && number != first)
			return 1;
		first = number;
		if (fd >= 0)
			close(fd);
	}
	printf("%d\n", first);
	return 0;
}
