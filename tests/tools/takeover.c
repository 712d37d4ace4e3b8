// SPDX-License-Identifier: GPL-2.0
/*
 * takeover PID: as somebody would who has taken over that process, it makes the system calls that it reads from stdin, one per
 * line, and says what came of each: "NAME RESULT", where RESULT is a number, the name of an error, or "killed" with a signal,
 * after which it ends. The calls are the process's own: its filter of system calls, its credentials and its namespaces hold.
 * An argument is a number, "TEXT (a string without blanks), @N (memory of N bytes that are 0) or =N (what call N, counted from
 * 0, gave). In the end the process goes on where it was.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seccomp.h>

#define SCRATCH 8192 /* bytes of its stack, for texts and memory */
#define RED_ZONE 256 /* bytes below the stack pointer that are in use */
#define CALLS_MAX 256

struct victim {
	pid_t pid;
	int memory;
	struct user_regs_struct regs;
	unsigned char code[3]; /* where it stopped */
	uint64_t free; /* the next free byte of the scratch */
};

static void must(long result, const char *what)
{
	if (result < 0)
		error(1, errno, "cannot %s", what);
}

/* False: it died. */
static int stops(struct victim *v)
{
	int status;

	must(waitpid(v->pid, &status, __WALL), "wait");
	if (WIFSTOPPED(status))
		return 1;
	printf("killed %s\n", WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : "");
	return 0;
}

static void take(struct victim *v)
{
	static const unsigned char code[3] = { 0x0f, 0x05, 0xcc }; /* syscall; int3 */
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", v->pid);
	v->memory = open(path, O_RDWR | O_CLOEXEC);
	must(v->memory, "open its memory");
	must(ptrace(PTRACE_SEIZE, v->pid, 0, 0), "seize it");
	must(ptrace(PTRACE_INTERRUPT, v->pid, 0, 0), "interrupt it");
	if (!stops(v))
		exit(1);
	must(ptrace(PTRACE_GETREGS, v->pid, 0, &v->regs), "read its registers");
	must(pread(v->memory, v->code, sizeof(code), (off_t)v->regs.rip), "read its code");
	must(pwrite(v->memory, code, sizeof(code), (off_t)v->regs.rip), "write its code");
}

static void release(struct victim *v)
{
	must(pwrite(v->memory, v->code, sizeof(v->code), (off_t)v->regs.rip), "put back its code");
	must(ptrace(PTRACE_SETREGS, v->pid, 0, &v->regs), "put back its registers");
	must(ptrace(PTRACE_DETACH, v->pid, 0, 0), "let it go");
}

/* Copies @len bytes into its scratch; NULL: zeros. Returns where they are. */
static uint64_t place(struct victim *v, const void *bytes, size_t len)
{
	static const char zeros[SCRATCH];
	uint64_t at = v->free;

	if (at + len > v->regs.rsp - RED_ZONE)
		error(1, 0, "no room for %zu bytes", len);
	must(pwrite(v->memory, bytes ?: zeros, len, (off_t)at), "write its memory");
	v->free += (len + 15) & ~15UL;
	return at;
}

static uint64_t argument(struct victim *v, const char *word, const uint64_t *results)
{
	switch (word[0]) {
	case '"':
		return place(v, word + 1, strlen(word));
	case '@':
		return place(v, NULL, strtoul(word + 1, NULL, 0));
	case '=':
		return results[strtoul(word + 1, NULL, 0) % CALLS_MAX];
	default:
		return strtoull(word, NULL, 0);
	}
}

/* False: it died of the call. */
static int call(struct victim *v, char *line, uint64_t *results, unsigned int nr)
{
	struct user_regs_struct r = v->regs;
	unsigned long long *const args[] = { &r.rdi, &r.rsi, &r.rdx, &r.r10, &r.r8, &r.r9 };
	const char *name = strtok(line, " "), *word;
	int number = seccomp_syscall_resolve_name(name);

	if (number < 0)
		error(1, 0, "%s is no system call", name);
	v->free = v->regs.rsp - RED_ZONE - SCRATCH;
	for (unsigned int i = 0; i < 6 && (word = strtok(NULL, " ")); i++)
		*args[i] = argument(v, word, results);
	r.rax = (unsigned int)number;
	r.orig_rax = -1ULL; /* what it waited in begins anew only in the end */
	must(ptrace(PTRACE_SETREGS, v->pid, 0, &r), "set its registers");
	must(ptrace(PTRACE_CONT, v->pid, 0, 0), "let it run");
	printf("%s ", name);
	if (!stops(v))
		return 0;
	must(ptrace(PTRACE_GETREGS, v->pid, 0, &r), "read its registers");
	results[nr % CALLS_MAX] = r.rax;
	if (r.rax > -4096ULL)
		puts(strerrorname_np((int)-r.rax));
	else
		printf("%llu\n", r.rax);
	return 1;
}

int main(int argc, char **argv)
{
	struct victim v = { .pid = argc == 2 ? atoi(argv[1]) : 0 };
	uint64_t results[CALLS_MAX] = {};
	char line[1024];

	if (v.pid <= 0)
		error(2, 0, "usage: takeover PID");
	take(&v);
	for (unsigned int nr = 0; fgets(line, sizeof(line), stdin); nr++) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] && !call(&v, line, results, nr))
			return 0;
		fflush(stdout);
	}
	release(&v);
	return 0;
}
