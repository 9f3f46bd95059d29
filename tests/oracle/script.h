/* SPDX-License-Identifier: MIT */
/*
 * The oracle's replayer: what a script in the trace format is in memory, and what each file of the
 * replayer offers the others. Part of the tests; the format is described in docs/trace-format.md.
 *
 * A script is parsed, run and printed in a child process of its own, so nothing here is freed.
 */
#ifndef ORACLE_SCRIPT_H
#define ORACLE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LINE_COLUMNS 100
#define BLOCK_BYTES_MAX (16u << 20)

/* ---- text: what the child prints, in memory that outlives it when it is killed ---- */

#define OUTPUT_BYTES_MAX (64u << 20)
#define MESSAGE_BYTES_MAX 512

struct output {
	size_t used;
	unsigned int line; /* of the statement that runs now */
	unsigned int column;
	unsigned int depth; /* of brackets printed: only inside may a line end */
	char message[MESSAGE_BYTES_MAX];
	char text[OUTPUT_BYTES_MAX];
};

void out_bytes(struct output *out, const char *bytes, size_t n);
void out_token(struct output *out, const char *token, size_t n);
__attribute__((format(printf, 2, 3))) void out_tokenf(struct output *out, const char *form, ...);

/* ---- scripts ---- */

enum value_kind { VALUE_NUMBER, VALUE_BAD, VALUE_ADDRESS, VALUE_FD, VALUE_STRING, VALUE_BLOCK };

struct value {
	enum value_kind kind;
	bool negative;	  /* number was written with a minus sign; it holds two's complement */
	uint64_t number;  /* the number, or the offset of an address */
	size_t name;	  /* index into script.names: of an address or a descriptor */
	const char *text; /* as written in the script */
	char *string;	  /* the bytes of a string */
	size_t string_bytes;
	struct block *block;
};

struct item {
	struct value value;
	unsigned int width; /* bytes of one element; of the whole string for a string */
	uint64_t count;
	bool is_volatile;
};

struct block {
	struct item *items;
	size_t item_count;
	size_t bytes;
	bool nests;		/* holds a nested block */
	unsigned char *memory;	/* set by block_store() */
	unsigned char *written; /* copy of the memory before the call */
};

/* ---- what a guest is to do: lists of operations, with their repetitions written out ---- */

enum guest_op_kind {
	GUEST_READ, GUEST_WRITE, GUEST_LOAD, GUEST_STORE, GUEST_WFI, GUEST_HVC, GUEST_SMC,
	GUEST_LINES, GUEST_CONTEXT, GUEST_WAIT, GUEST_UNTIL,
};

#define NO_OP ((size_t)-1)
#define GUEST_ARGS_MAX 4

/* a number, to which the result of an earlier operation is added */
struct guest_value {
	uint64_t number;
	size_t op; /* its index in the list, or NO_OP */
};

struct guest_op {
	enum guest_op_kind kind;
	uint16_t sysreg;      /* op0:op1:CRn:CRm:op2 */
	unsigned int bytes;   /* of a load or store */
	unsigned int args;    /* how many there are */
	struct guest_value arg[GUEST_ARGS_MAX];
	uint64_t mmio;	      /* what a load that leaves the guest reads */
	size_t leave_to;      /* until: the operation to go on with */
	bool is_volatile;
};

struct guest_list {
	size_t name;	      /* of the vCPU's descriptor */
	bool is_continued;    /* no list of its own: goes on with the last one */
	struct guest_op *ops;
	size_t op_count;
};

/* where the guests' code lies in a VM: a slot of its own, and one part of it for each vCPU id */
#define GUEST_SLOT 0x7f00u
#define GUEST_IPA 0xfc000000u
#define GUEST_VCPU_BYTES 0x20000u
#define GUEST_VCPUS_MAX 512u
#define GUEST_DOORBELL (GUEST_IPA - 0x1000)

/* ---- statements ---- */

enum op {
	OP_HOST, OP_OPEN, OP_IOCTL, OP_GET, OP_SET, OP_CLOSE, OP_DUP, OP_BUFFER, OP_UNMAP, OP_MMAP,
	OP_POKE, OP_PEEK, OP_READ, OP_EVENTFD, OP_ALARM, OP_GUEST, OP_START, OP_STOP,
};

#define NO_NAME ((size_t)-1)

struct statement {
	enum op op;
	unsigned int first_line, last_line;
	size_t name;	/* the descriptor or buffer it works on */
	size_t created; /* the name it binds, or NO_NAME */
	struct value request, arg;
	uint64_t size, offset;
	unsigned char *bytes; /* of set */
	struct block *block;
	bool is_volatile; /* ends in `?` */
	struct guest_list *guests;
	size_t guest_count;
};

enum name_kind { NAME_FD, NAME_BUFFER };

struct name {
	const char *text;
	enum name_kind kind;
	unsigned int line; /* of the statement that binds it */
	int fd;		   /* -1 until bound, and again when closed */
	unsigned char *address;
	size_t size;
	struct guest *guest; /* of a vCPU's descriptor, and of a VM's */
	struct background *background; /* of a vCPU that was started */
};

struct lines {
	unsigned int first, last;
};

struct script {
	const char *file;
	const char *text;
	size_t length;
	struct statement *statements;
	size_t statement_count;
	struct name *names;
	size_t name_count;
	struct lines *answers; /* the lines of earlier answers, which are not copied */
	size_t answer_count;
	char *message; /* MESSAGE_BYTES_MAX: why parsing or running failed */
};

/* parse.c, values.c: text to script. 0, or -1 with script->message set. */
int script_parse(struct script *script);

/* run.c: runs a script and prints it with its answers. 0, or -1 with script->message set. */
int script_run(struct script *script, struct output *out);

/* size in bytes of a register, from its id */
size_t reg_bytes(uint64_t id);

/* whether an answer to this request can be a new descriptor, given or stored in the block */
bool request_creates(uint64_t request);

/* ---- guest_code.c, guest_run.c: guests that act ---- */

/*
 * Lays out a guest's code for a list, for where memory is in the VM: at ipa. 0, or -1: it is too
 * long.
 */
int guest_code(unsigned char *memory, uint64_t ipa, const struct guest_list *list);

/* what an operation left in its slot */
struct guest_slot {
	uint64_t state; /* 0: has not ended; 1: done; with GUEST_EXCEPTION: the ESR_EL1 */
	uint64_t value[GUEST_ARGS_MAX];
};

#define GUEST_EXCEPTION (1ull << 63)

volatile struct guest_slot *guest_slots(unsigned char *memory);

void guest_created(struct name *vcpu, struct name *vm, uint64_t request, uint64_t arg);
int run_guests(struct script *script, const struct statement *st, struct output *out);

/* ---- background.c: KVM_RUN on a thread of its own ---- */

/* returns when it is under way, or over; nothing if this vCPU was started before */
void background_start(struct name *vcpu);

/* what it returned, after a signal if it has not ended in ms milliseconds; -ESRCH: not started */
long background_stop(struct name *vcpu, unsigned int ms);

/* ---- names.c ---- */

bool constant_value(const char *name, uint64_t *value);
const char *exit_name(uint32_t reason); /* NULL: has no name here */
bool sysreg_encoding(const char *name, uint16_t *encoding); /* op0:op1:CRn:CRm:op2 */
const char *errno_name(int number); /* NULL: has no name here */

/* ---- blocks.c: blocks in memory, and their answers ---- */

uint64_t bad_address(void);
void *guarded_memory(size_t bytes); /* pages with an inaccessible page behind; NULL: no memory */
void blocks_reset(void);	    /* a new statement begins: its blocks use the memory again */
unsigned char *block_memory(size_t bytes); /* ends where accessible memory ends */
int block_store(struct script *script, struct block *block);
uint64_t value_number(const struct script *script, const struct value *value);
bool block_changed(const struct block *block);
void print_hex(struct output *out, const unsigned char *bytes, size_t n);

/* prints the block as it is now; fd_name: what stands at byte 4 of a kvm_create_device, or NULL */
void print_block(struct output *out, const struct block *block, const char *fd_name);

/* ---- replay.c ---- */

enum status { STATUS_OK, STATUS_PARSE, STATUS_RUN, STATUS_HANG, STATUS_CRASH };

enum status replay_text(const char *file, const char *text, size_t length, unsigned int limit_ms,
			struct output *out);

const char *status_word(enum status status);
struct output *new_output(void);
void block_child_signal(void); /* before wait_child(): it waits for the signal */
bool wait_child(pid_t pid, unsigned int limit_ms, int *wait_status); /* false: still there */

/* ---- guest.c: the first process of a machine that only answers scripts ---- */

int guest_main(void);

#endif
