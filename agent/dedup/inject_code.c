// SPDX-License-Identifier: GPL-2.0
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "agent/dedup/inject_code.h"
#include "agent/lib/util.h"

#define RANGES_MAX 40 /* in a step */
#define VDSO_MAX 16384 /* bytes; kernels have 8192 */

enum { RESTARTSYS = 512 }; /* linux/errno.h, not for user space */

/* What the code finds behind itself, and then the ranges. */
struct frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, rip;
};

/* rbx: ranges left; r12: the next one. */
__asm__(".pushsection .rodata\n"
	"inject_code:\n"
	"1:	mov %rbx, %rcx\n"
	"	jrcxz 2f\n"
	"	lea -1(%rbx), %rbx\n"
	"inject_code_taken:\n"
	"	mov (%r12), %rdi\n"
	"	mov 8(%r12), %rsi\n"
	"	mov %r13, %rdx\n"
	"	lea 16(%r12), %r12\n"
	"	mov $28, %eax\n" /* madvise */
	"	syscall\n"
	"inject_code_made:\n"
	"	jmp 1b\n"
	"2:\n"
	"inject_code_back:\n"
	"	mov 3f+0(%rip), %r15\n"
	"	mov 3f+8(%rip), %r14\n"
	"	mov 3f+16(%rip), %r13\n"
	"	mov 3f+24(%rip), %r12\n"
	"	mov 3f+32(%rip), %rbp\n"
	"	mov 3f+40(%rip), %rbx\n"
	"	mov 3f+48(%rip), %r11\n"
	"	mov 3f+56(%rip), %r10\n"
	"	mov 3f+64(%rip), %r9\n"
	"	mov 3f+72(%rip), %r8\n"
	"	mov 3f+80(%rip), %rax\n"
	"	mov 3f+88(%rip), %rcx\n"
	"	mov 3f+96(%rip), %rdx\n"
	"	mov 3f+104(%rip), %rsi\n"
	"	mov 3f+112(%rip), %rdi\n"
	"	jmp *3f+120(%rip)\n"
	"	.balign 16\n"
	"3:\n"
	"inject_code_end:\n"
	".popsection\n");
extern const uint8_t inject_code[], inject_code_taken[], inject_code_made[], inject_code_back[], inject_code_end[];

static size_t offset_of(const uint8_t *label)
{
	return (size_t)((uintptr_t)label - (uintptr_t)inject_code);
}

static size_t code_size(void)
{
	return offset_of(inject_code_end);
}

static size_t whole_size(size_t ranges)
{
	return code_size() + sizeof(struct frame) + ranges * sizeof(struct inject_range);
}

/* ---- where there is space ---- */

struct vdso {
	uint64_t begin, end;
};

/* A file may be called so, too, but has an inode. */
static int find_vdso(int proc, struct vdso *ret)
{
	int fd = openat(proc, "maps", O_RDONLY | O_CLOEXEC);
	_fclose_ FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
	char line[4352], name[32];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %*s 00:00 0 %31s", &ret->begin, &ret->end, name) == 3 && !strcmp(name, "[vdso]"))
			return ret->end - ret->begin <= VDSO_MAX ? 0 : -ENOEXEC;
	return -ENOEXEC;
}

/* Our own, which is what the kernel gives every 64-bit program. */
static const struct vdso *own_vdso(void)
{
	static struct vdso own;

	if (!own.begin) {
		_close_ int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (proc < 0 || find_vdso(proc, &own))
			own = (struct vdso){};
	}
	return own.begin ? &own : NULL;
}

/* Behind what the program header counts; some kernels map section headers there, which nothing reads as it runs. */
static uint64_t used_of(const struct vdso *own)
{
	const Elf64_Ehdr *head = (const void *)own->begin;
	const Elf64_Phdr *load = (const void *)(own->begin + head->e_phoff);

	return (load->p_filesz + 15) & ~15ULL;
}

int inject_code_find(int proc, struct inject_code *ret)
{
	const struct vdso *own = own_vdso();
	struct vdso vdso;
	uint64_t space, used;

	if (!own || find_vdso(proc, &vdso) || vdso.end - vdso.begin != own->end - own->begin)
		return -ENOEXEC;
	used = used_of(own);
	space = used < own->end - own->begin ? own->end - own->begin - used : 0;
	if (space < whole_size(1))
		return -ENOEXEC;
	*ret = (struct inject_code){ .at = vdso.begin + used, .vdso = vdso.begin };
	ret->ranges_max = (space - whole_size(0)) / sizeof(struct inject_range);
	if (ret->ranges_max > RANGES_MAX)
		ret->ranges_max = RANGES_MAX;
	return 0;
}

bool inject_code_fits(const struct inject_code *c, int memory)
{
	static __thread uint8_t theirs[VDSO_MAX];
	size_t used = c->at - c->vdso;

	return pread(memory, theirs, used, (off_t)c->vdso) == (ssize_t)used &&
	       !memcmp(theirs, (const void *)own_vdso()->begin, used);
}

/* ---- writing ---- */

/* Whole words. By ptrace(), which needs no right to write to /proc/PID/mem, and writes what the process may only execute. */
static int poke(pid_t tid, uint64_t to, const void *from, size_t size)
{
	uint64_t word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)from + i, sizeof(word));
		if (ptrace(PTRACE_POKEDATA, tid, to + i, word))
			return -errno;
	}
	return 0;
}

int inject_code_write(const struct inject_code *c, pid_t tid, const struct inject_range *ranges, size_t n)
{
	return poke(tid, c->at, inject_code, code_size()) ?: poke(tid, c->at + whole_size(0), ranges, n * sizeof(*ranges));
}

int inject_code_erase(const struct inject_code *c, pid_t tid, size_t n)
{
	return poke(tid, c->at, (const uint8_t *)own_vdso()->begin + (c->at - c->vdso), whole_size(n));
}

int inject_code_send(const struct inject_code *c, pid_t tid, const struct user_regs_struct *own, int advice, size_t first,
		     size_t n)
{
	struct frame frame = { own->r15, own->r14, own->r13, own->r12, own->rbp, own->rbx, own->r11, own->r10,
			       own->r9,	 own->r8,  own->rax, own->rcx, own->rdx, own->rsi, own->rdi, own->rip };
	struct user_regs_struct go = *own;
	int err = poke(tid, c->at + code_size(), &frame, sizeof(frame));

	go.rip = c->at;
	go.rbx = n;
	go.r12 = c->at + whole_size(first);
	go.r13 = (uint64_t)advice;
	go.orig_rax = ~0ULL;
	return err ?: ptrace(PTRACE_SETREGS, tid, 0, &go) ? -errno : 0;
}

/* ---- where the thread is ---- */

bool inject_code_has(const struct inject_code *c, const struct user_regs_struct *r)
{
	return r->rip - c->at < code_size();
}

/* The kernel makes a call with the result ERESTARTSYS anew. One that begins has the result ENOSYS so far. */
static bool is_made(const struct user_regs_struct *r)
{
	return (int64_t)r->rax != -RESTARTSYS && (int64_t)r->rax != -ENOSYS;
}

size_t inject_code_left(const struct inject_code *c, const struct user_regs_struct *r)
{
	size_t at = r->rip - c->at;

	if (at >= offset_of(inject_code_back))
		return 0;
	return r->rbx + (at >= offset_of(inject_code_taken) && (at < offset_of(inject_code_made) || !is_made(r)));
}

bool inject_code_has_made(const struct inject_code *c, const struct user_regs_struct *r)
{
	return r->rip - c->at == offset_of(inject_code_made) && is_made(r);
}
