/* SPDX-License-Identifier: MIT */
/* Host descriptions: reading them, and finding them by name or path. Layer: machine. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_LINE "kvmemu-host 1"
#define MAX_FILE_BYTES (1 << 20)
#define MAX_ERRNO 4095
#define MAX_BUILTIN 32

enum key_kind { KEY_TEXT, KEY_U32, KEY_U64, KEY_BOOL };

/* A row a scalar key; tables of registers and capabilities are read by prefix below. */
struct host_key {
	const char *name;
	enum key_kind kind;
	size_t offset;
	size_t bytes;
	uint64_t min, max;
	bool required;
};

#define FIELD(member) .offset = offsetof(struct kvmemu_host, member), .bytes = sizeof(((struct kvmemu_host *)0)->member)

static const struct host_key keys[] = {
	{ .name = "name", .kind = KEY_TEXT, FIELD(name), .required = true },
	{ .name = "kernel", .kind = KEY_TEXT, FIELD(kernel), .required = true },
	{ .name = "description", .kind = KEY_TEXT, FIELD(description) },
	{ .name = "gic.version", .kind = KEY_U32, FIELD(gic.version), .min = 2, .max = 3, .required = true },
	{ .name = "gic.v2_compat", .kind = KEY_BOOL, FIELD(gic.v2_compat) },
	{ .name = "gic.list_registers", .kind = KEY_U32, FIELD(gic.list_registers), .min = 1, .max = 16,
	  .required = true },
	{ .name = "gic.priority_bits", .kind = KEY_U32, FIELD(gic.priority_bits), .min = 5, .max = 7, .required = true },
	{ .name = "gic.icc_ctlr", .kind = KEY_U32, FIELD(gic.icc_ctlr), .min = 0, .max = UINT32_MAX },
	{ .name = "gic.its", .kind = KEY_BOOL, FIELD(gic.its) },
	{ .name = "gic.v4_1", .kind = KEY_BOOL, FIELD(gic.v4_1) },
	{ .name = "counter.hz", .kind = KEY_U64, FIELD(counter_hz), .min = 1, .max = 10000000000, .required = true },
	{ .name = "cpu.target", .kind = KEY_U32, FIELD(target), .min = 0, .max = UINT32_MAX, .required = true },
	{ .name = "cpu.aarch32_el0", .kind = KEY_BOOL, FIELD(aarch32_el0) },
	{ .name = "cpu.page_bytes", .kind = KEY_U32, FIELD(page_bytes), .min = 4096, .max = 65536, .required = true },
	{ .name = "cpu.sve_vqs", .kind = KEY_U64, FIELD(sve_vqs), .min = 0, .max = 0xffff },
	{ .name = "cpu.ctr", .kind = KEY_U64, FIELD(ctr), .min = 0, .max = UINT64_MAX },
	{ .name = "pmu.type", .kind = KEY_U32, FIELD(pmu_type), .min = 0, .max = INT32_MAX },
	{ .name = "firmware.workaround_1", .kind = KEY_U64, FIELD(workaround[0]), .min = 0, .max = 15 },
	{ .name = "firmware.workaround_2", .kind = KEY_U64, FIELD(workaround[1]), .min = 0, .max = 15 },
	{ .name = "firmware.workaround_3", .kind = KEY_U64, FIELD(workaround[2]), .min = 0, .max = 15 },
};

#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

struct parser {
	struct kvmemu_host *host;
	bool seen[NR_KEYS];
	unsigned int line;
	char *why;
	size_t why_len;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct parser *p, const char *format, ...)
{
	va_list args;
	int used;

	if (!p->why || !p->why_len)
		return -EINVAL;
	used = p->line ? snprintf(p->why, p->why_len, "line %u: ", p->line) : 0;
	if (used < 0 || (size_t)used >= p->why_len)
		return -EINVAL;
	va_start(args, format);
	vsnprintf(p->why + used, p->why_len - (size_t)used, format, args);
	va_end(args);
	return -EINVAL;
}

/* One number, decimal or 0x hexadecimal, negative only where a capability answers an errno. */
static int parse_number(const char *text, int64_t *value)
{
	char *end;

	if (!*text || *text == ' ')
		return -EINVAL;
	errno = 0;
	*value = *text == '-' ? strtoll(text, &end, 0) : (int64_t)strtoull(text, &end, 0);
	return errno || *end ? -EINVAL : 0;
}

static int store_scalar(struct parser *p, const struct host_key *key, const char *value)
{
	void *field = (char *)p->host + key->offset;
	int64_t number;

	switch (key->kind) {
	case KEY_TEXT:
		if (strlen(value) >= key->bytes)
			return refuse(p, "%s is longer than %zu characters", key->name, key->bytes - 1);
		strcpy(field, value);
		return 0;
	case KEY_BOOL:
		if (strcmp(value, "true") && strcmp(value, "false"))
			return refuse(p, "%s is \"%s\": true or false expected", key->name, value);
		*(bool *)field = value[0] == 't';
		return 0;
	case KEY_U32:
	case KEY_U64:
		if (parse_number(value, &number))
			return refuse(p, "%s is \"%s\": a number expected", key->name, value);
		if ((uint64_t)number < key->min || (uint64_t)number > key->max)
			return refuse(p, "%s is %s: %" PRIu64 " to %" PRIu64 " expected", key->name, value, key->min,
				      key->max);
		if (key->kind == KEY_U32)
			*(uint32_t *)field = (uint32_t)number;
		else
			*(uint64_t *)field = (uint64_t)number;
		return 0;
	}
	return -EINVAL;
}

static const char *after_prefix(const char *key, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(key, prefix, len) ? NULL : key + len;
}

static int store_cap(struct parser *p, int32_t *caps, const char *which, const char *value)
{
	int64_t cap, answer;

	if (parse_number(which, &cap) || (uint64_t)cap >= HOST_NR_CAPS)
		return refuse(p, "\"%s\" is not a capability's number", which);
	if (parse_number(value, &answer) || answer < -MAX_ERRNO || answer > INT32_MAX)
		return refuse(p, "capability %s is \"%s\": a 32-bit number or -errno expected", which, value);
	caps[cap] = (int32_t)answer;
	return 0;
}

static int store_reg(struct parser *p, const char *name, const char *value)
{
	enum sysreg reg = sysreg_find_name(name, strlen(name));
	int64_t number;

	if (reg == SR_NONE)
		return refuse(p, "there is no register \"%s\"", name);
	if (parse_number(value, &number))
		return refuse(p, "register %s is \"%s\": a number expected", name, value);
	p->host->reg[reg] = (uint64_t)number;
	return 0;
}

static int store_ccsidr(struct parser *p, const char *which, const char *value)
{
	int64_t cache, number;

	if (parse_number(which, &cache) || (uint64_t)cache >= HOST_NR_CACHES)
		return refuse(p, "\"%s\" is not a cache: CSSELR_EL1 values 0 to %d expected", which, HOST_NR_CACHES - 1);
	if (parse_number(value, &number) || (uint64_t)number > UINT32_MAX)
		return refuse(p, "cache %s is \"%s\": a 32-bit CCSIDR_EL1 expected", which, value);
	p->host->ccsidr[cache] = (uint32_t)number;
	return 0;
}

static int store_cp15(struct parser *p, const char *which, const char *value)
{
	int64_t id, number;

	if (parse_number(which, &id) || parse_number(value, &number))
		return refuse(p, "cp15.%s is \"%s\": a register id and a number expected", which, value);
	if (p->host->nr_cp15 == HOST_MAX_CP15)
		return refuse(p, "more than %d CP15 registers", HOST_MAX_CP15);
	p->host->cp15[p->host->nr_cp15].id = (uint64_t)id;
	p->host->cp15[p->host->nr_cp15++].value = (uint64_t)number;
	return 0;
}

static int store(struct parser *p, const char *key, const char *value)
{
	const char *rest;

	for (size_t i = 0; i < NR_KEYS; i++) {
		if (strcmp(keys[i].name, key))
			continue;
		if (p->seen[i])
			return refuse(p, "%s stands twice", key);
		p->seen[i] = true;
		return store_scalar(p, &keys[i], value);
	}
	if (!strcmp(key, "architecture")) {
		if (strcmp(value, "arm64") && strcmp(value, "arm32"))
			return refuse(p, "architecture is \"%s\": arm64 or arm32 expected", value);
		p->host->arch = strcmp(value, "arm32") ? HOST_ARM64 : HOST_ARM32;
		return 0;
	}
	if ((rest = after_prefix(key, "capability.")))
		return store_cap(p, p->host->cap, rest, value);
	if ((rest = after_prefix(key, "system_capability.")))
		return store_cap(p, p->host->system_cap, rest, value);
	if ((rest = after_prefix(key, "register.")))
		return store_reg(p, rest, value);
	if ((rest = after_prefix(key, "ccsidr.")))
		return store_ccsidr(p, rest, value);
	if ((rest = after_prefix(key, "cp15.")))
		return store_cp15(p, rest, value);
	return refuse(p, "unknown key \"%s\"", key);
}

static int parse_line(struct parser *p, char *line)
{
	char *space;

	if (p->line == 1)
		return strcmp(line, FIRST_LINE) ? refuse(p, "\"" FIRST_LINE "\" expected") : 0;
	if (!*line || *line == '#')
		return 0;
	space = strchr(line, ' ');
	if (!space)
		return refuse(p, "\"%s\" has no value", line);
	*space = '\0';
	return store(p, line, space + 1);
}

/* What only a GICv3 has. */
static int check_gic(struct parser *p)
{
	const struct {
		const char *name;
		bool is_there;
	} parts[] = {
		{ "v2_compat", p->host->gic.v2_compat },
		{ "its", p->host->gic.its },
		{ "v4_1", p->host->gic.v4_1 },
	};

	if (p->host->gic.version == 3)
		return 0;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].is_there)
			return refuse(p, "gic.%s is true, but gic.version is %u: only a GICv3 has it", parts[i].name,
				      p->host->gic.version);
	return 0;
}

static int parse_lines(struct parser *p, char *text)
{
	char *line, *next;
	int err;

	for (line = text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		p->line++;
		err = parse_line(p, line);
		if (err)
			return err;
	}
	p->line = 0;
	for (size_t i = 0; i < NR_KEYS; i++)
		if (keys[i].required && !p->seen[i])
			return refuse(p, "%s is missing", keys[i].name);
	return check_gic(p);
}

int kvmemu_host_parse(const char *text, size_t len, struct kvmemu_host **host, char *why, size_t why_len)
{
	struct parser p = { .why = why, .why_len = why_len };
	char *copy;
	int err;

	if (memchr(text, '\0', len))
		return refuse(&p, "a NUL byte is in the text");
	p.host = calloc(1, sizeof(*p.host));
	copy = malloc(len + 1);
	if (!p.host || !copy) {
		err = -ENOMEM;
		goto out;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	atomic_init(&p.host->refs, 1);
	err = parse_lines(&p, copy);
	if (!err) {
		*host = p.host;
		p.host = NULL;
	}
out:
	free(copy);
	free(p.host);
	return err;
}

void kvmemu_host_put(struct kvmemu_host *host)
{
	if (host && atomic_fetch_sub_explicit(&host->refs, 1, memory_order_acq_rel) == 1)
		free(host);
}

size_t kvmemu_host_count(void)
{
	return nr_builtin_hosts;
}

const char *kvmemu_host_name(size_t n)
{
	return n < nr_builtin_hosts ? builtin_hosts[n].name : NULL;
}

const char *kvmemu_host_text(const char *name, size_t *len)
{
	for (size_t i = 0; i < nr_builtin_hosts; i++)
		if (!strcmp(builtin_hosts[i].name, name)) {
			*len = strlen(builtin_hosts[i].text);
			return builtin_hosts[i].text;
		}
	return NULL;
}

static int read_file(const char *path, char **text, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	int err = 0;

	if (fd < 0)
		return -errno;
	*len = 0;
	*text = malloc(MAX_FILE_BYTES);
	if (!*text)
		err = -ENOMEM;
	while (!err && *len < MAX_FILE_BYTES) {
		got = read(fd, *text + *len, MAX_FILE_BYTES - *len);
		if (got == 0)
			break;
		if (got > 0)
			*len += (size_t)got;
		else if (errno != EINTR)
			err = -errno;
	}
	close(fd);
	if (!err && *len == MAX_FILE_BYTES)
		err = -EFBIG;
	if (err)
		free(*text);
	return err;
}

/* Built-in hosts are parsed once and shared: a program may open /dev/kvm thousands of times. */
static int get_builtin(const char *name, struct kvmemu_host **host)
{
	static struct kvmemu_host *parsed[MAX_BUILTIN];
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int err = -ENOENT;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < nr_builtin_hosts && i < MAX_BUILTIN; i++) {
		if (strcmp(builtin_hosts[i].name, name))
			continue;
		err = parsed[i] ? 0 :
				  kvmemu_host_parse(builtin_hosts[i].text, strlen(builtin_hosts[i].text), &parsed[i],
						    NULL, 0);
		if (!err)
			*host = host_ref(parsed[i]);
	}
	pthread_mutex_unlock(&lock);
	return err;
}

int kvmemu_host_get(const char *name, struct kvmemu_host **host)
{
	char *text = NULL;
	size_t len = 0;
	int err;

	if (!name || !*name)
		name = builtin_hosts[0].name;
	if (!strchr(name, '/'))
		return get_builtin(name, host);
	err = read_file(name, &text, &len);
	if (err)
		return err;
	err = kvmemu_host_parse(text, len, host, NULL, 0);
	free(text);
	return err;
}
