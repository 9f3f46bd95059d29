/* SPDX-License-Identifier: MIT */
/* Hosts: by name, by path, and what is said about a description that is wrong. Part of the tests. */
#include <stdlib.h>

#include "kvm.h"

/* The least that is a host. */
#define HEAD "kvmemu-host 1\n"
#define REST \
	"name mine\n" \
	"kernel 6.1\n" \
	"gic.version 3\n" \
	"gic.list_registers 4\n" \
	"gic.priority_bits 5\n" \
	"counter.hz 1000\n" \
	"cpu.target 5\n" \
	"cpu.page_bytes 4096\n"

static int parse(const char *text, struct kvmemu_host **host, char *why, size_t why_bytes)
{
	*host = NULL;
	memset(why, 'x', why_bytes);
	why[why_bytes - 1] = '\0';
	return kvmemu_host_parse(text, strlen(text), host, why, why_bytes);
}

static void the_least_description_is_a_host(void)
{
	struct kvmemu_file *system = NULL;
	struct kvmemu_host *host;
	char why[100];

	must(parse(HEAD REST "# a comment\n\ncapability.66 3", &host, why, sizeof(why)));
	must(kvmemu_open(host, &system));
	kvmemu_host_put(host);	/* the system holds on to it */
	equal(kvmemu_counter_hz(system), 1000);
	equal(try_call(system, KVM_GET_VCPU_MMAP_SIZE, NULL), 8192);
	equal(kvmemu_arch(system), 64);
	kvmemu_close(system);
}

/* Wrong descriptions, and words that the explanation must contain: the line, and what stands there. */
static const struct {
	const char *text;
	const char *line;
	const char *words;
} wrong[] = {
	{ "", NULL, "" },
	{ "kvmemu-host 2\n" REST, "line 1:", "kvmemu-host 1" },
	{ "\n" HEAD REST, "line 1:", "kvmemu-host 1" },
	{ HEAD "name mine", NULL, "missing" },
	{ HEAD REST "gic.its maybe\n", "line 10:", "maybe" },
	{ HEAD REST "\n\ngic.its\n", "line 12:", "gic.its" },
	{ HEAD "gic.version 4\n" REST, "line 2:", "gic.version" },
	{ HEAD REST "name again\n", "line 10:", "twice" },
	{ HEAD "counter.hz 0\n", "line 2:", "counter.hz" },
	{ HEAD "counter.hz -1\n", "line 2:", "-1" },
	{ HEAD "counter.hz 12x\n", "line 2:", "12x" },
	{ HEAD "counter.hz 99999999999999999999999\n", "line 2:", "number" },
	{ HEAD "cpu.page_bytes 70000\n", "line 2:", "65536" },
	{ HEAD "cpu.target 0x100000000\n", "line 2:", "0x100000000" },
	{ HEAD "colour blue\n", "line 2:", "colour" },
	{ HEAD "architecture riscv\n", "line 2:", "riscv" },
	{ HEAD "register.FOO_EL1 1\n", "line 2:", "FOO_EL1" },
	{ HEAD "register. 1\n", "line 2:", "register" },
	{ HEAD "register.MIDR_EL1 one\n", "line 2:", "one" },
	{ HEAD "capability.512 1\n", "line 2:", "512" },
	{ HEAD "capability.-1 1\n", "line 2:", "-1" },
	{ HEAD "capability. 1\n", "line 2:", "capability" },
	{ HEAD "capability.5 0x100000000\n", "line 2:", "0x100000000" },
	{ HEAD "capability.5 -4096\n", "line 2:", "-4096" },
	{ HEAD "system_capability.5 a\n", "line 2:", "a" },
	{ HEAD "ccsidr.14 1\n", "line 2:", "14" },
	{ HEAD "ccsidr.1 0x100000000\n", "line 2:", "0x100000000" },
	{ HEAD "cp15.x 1\n", "line 2:", "x" },
	{ HEAD "name 0123456789012345678901234567890123456789012345678901234567890123\n", "line 2:", "63" },
};

static void wrong_descriptions_are_explained(void)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct kvmemu_host *host;
		char why[200];

		fails(parse(wrong[i].text, &host, why, sizeof(why)), EINVAL);
		ok(!host);
		if (!ok(strstr(why, wrong[i].words)) || !ok(!wrong[i].line || strstr(why, wrong[i].line) == why))
			printf("#   %s\n#   %s\n", wrong[i].text, why);
		ok(strlen(why) < 150 && !strchr(why, '\n'));
	}
}

/* Whatever room there is: never past it, always ended. */
static void explanation_fits_its_room(void)
{
	const char *text = HEAD "architecture riscv\n";
	struct kvmemu_host *host;

	for (size_t room = 1; room < 80; room++) {
		char why[81];

		memset(why, 'x', sizeof(why));
		fails(kvmemu_host_parse(text, strlen(text), &host, why, room), EINVAL);
		ok(memchr(why, '\0', room));
		equal(why[room], 'x');
	}
	fails(kvmemu_host_parse(text, strlen(text), &host, NULL, 0), EINVAL);
	fails(kvmemu_host_parse(text, strlen(text), &host, NULL, 100), EINVAL);
}

static void text_ends_at_its_length(void)
{
	static const char text[] = HEAD REST "nonsense";
	struct kvmemu_host *host = NULL;
	char why[100];

	must(kvmemu_host_parse(text, sizeof(HEAD REST) - 1, &host, NULL, 0));
	kvmemu_host_put(host);
	fails(kvmemu_host_parse("kvmemu-host 1\nname \0\n", 21, &host, why, sizeof(why)), EINVAL);
	ok(strstr(why, "NUL"));
}

static void every_built_in_host_opens(void)
{
	ok(kvmemu_host_count() >= 4);
	ok(!kvmemu_host_name(kvmemu_host_count()));
	ok(!kvmemu_host_name(SIZE_MAX));
	for (size_t i = 0; i < kvmemu_host_count(); i++) {
		struct kvmemu_file *system = open_system(kvmemu_host_name(i));
		size_t len = 0;

		ok(kvmemu_host_text(kvmemu_host_name(i), &len) && len > 100);
		equal(try_call(system, KVM_GET_API_VERSION, NULL), 12);
		kvmemu_close(system);
	}
}

static void names_and_paths(void)
{
	char path[] = "/tmp/kvmemu-host-XXXXXX";
	struct kvmemu_host *host = NULL;
	int fd = mkstemp(path);
	size_t len;

	must(fd);
	equal(write(fd, HEAD REST, sizeof(HEAD REST) - 1), sizeof(HEAD REST) - 1);
	must(kvmemu_host_get(path, &host));
	kvmemu_host_put(host);
	equal(write(fd, "?", 1), 1);
	fails(kvmemu_host_get(path, &host), EINVAL);
	close(fd);
	unlink(path);
	fails(kvmemu_host_get(path, &host), ENOENT);
	fails(kvmemu_host_get("/", &host), EISDIR);
	fails(kvmemu_host_get("no-such-host", &host), ENOENT);
	ok(!kvmemu_host_text("no-such-host", &len));
	must(kvmemu_host_get("", &host));
	kvmemu_host_put(host);
	kvmemu_host_put(NULL);
}

int main(void)
{
	run(the_least_description_is_a_host);
	run(wrong_descriptions_are_explained);
	run(explanation_fits_its_room);
	run(text_ends_at_its_length);
	run(every_built_in_host_opens);
	run(names_and_paths);
	return check_done();
}
