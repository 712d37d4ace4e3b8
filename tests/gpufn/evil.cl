/* SPDX-License-Identifier: GPL-2.0 */
/* For tests/gpufn/evil.sh: a function that uses its executor as somebody would who has taken it over. For x86-64. */

#define SOCKET 3 /* of orders and reports */
#define REPORT 504 /* bytes of a report */
#define RUN 3 /* as agent/gpufn/wire.h has it */

enum { OPEN = 2, CLOSE = 3, SENDTO = 44, SENDMSG = 46, SHUTDOWN = 48, FORK = 57, EXIT_GROUP = 231 };

long call(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;

	__asm__ volatile("movq %5, %%r10\n\tmovq %6, %%r8\n\tmovq %7, %%r9\n\tsyscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(d), "r"(e), "r"(f)
			 : "rcx", "r11", "r10", "r8", "r9", "memory");
	return ret;
}

void send_bytes(const void *from, long len)
{
	call(SENDTO, SOCKET, (long)from, len, 0, 0, 0);
}

/* That slices of all calls are done, whoever's they are. */
void forge(void)
{
	uint report[REPORT / 4] = { RUN };

	for (uint nr = 1; nr < 100; nr++) {
		report[1] = nr;
		send_bytes(report, REPORT);
	}
}

void send_descriptor(void)
{
	uint report[REPORT / 4] = { RUN };
	ulong vector[] = { (ulong)report, REPORT };
	uint control[] = { 20, 0, 1 /* SOL_SOCKET */, 1 /* SCM_RIGHTS */, SOCKET, 0 };
	ulong message[] = { 0, 0, (ulong)vector, 1, (ulong)control, sizeof(control), 0 };

	call(SENDMSG, SOCKET, (long)message, 0, 0, 0, 0);
}

/* What must all give EPERM, with arguments that are right, or that give another error without a filter. Returns how many. */
uint try_all(__global ulong *out)
{
	uint zeros[64] = { 0 };
	long some = (long)zeros, own = -3 /* a keyring */, upper = 1L << 32;
	const long tries[][5] = {
		{ 62, 2, 0 }, { 62, -1, 0 }, { 234, 2, 2, 0 }, { 200, 1, 0 }, { 129, 1, 0, some }, { 424, 0, 0 }, /* signals */
		{ 72, SOCKET, 8, 1 }, { 72, SOCKET, 15, some }, { 72, SOCKET, 10, 9 }, { 72, SOCKET, upper | 8, 1 }, /* F_SETOWN */
		{ 16, SOCKET, 0x8901, some }, { 16, SOCKET, 0x8902, some }, { 16, SOCKET, upper | 0x8901, some },
		{ 302, 2, 0, 0, some }, { 141, 0, 0, 0 }, { 251, 1, 0, 0 }, /* prlimit, setpriority, ioprio_set */
		{ 144, 0, 0, some }, { 142, 0, some }, { 314, 0, some, 0 }, /* sched_set... */
		{ 101, 0 }, { 310, 1 }, { 311, 1 }, { 440, 0 }, { 312, 1, 1 }, { 434, 1, 0 }, { 438, 0, 0 }, /* ptrace, pidfd */
		{ 272, 0 }, { 272, 0x10000000 }, { 308, SOCKET, 0 }, { 56, 0x10000000 }, { 56, 0x20000000 }, /* namespaces */
		{ 165, 0 }, { 166, 0 }, { 161, some }, { 155, some, some }, { 304, 0 }, { 105, 0 },
		{ 250, 0, own, 0 }, { 248, 0 }, { 321, 0 }, { 298, some }, { 425, 1, some }, { 323, 0 }, /* keyctl, bpf, io_uring */
		{ 41, 1, 1, 0 }, { 41, 2, 1, 0 }, { 29, 0, 4096, 0x3b6 }, { 240, some, 0 }, /* socket, shmget, mq_open */
		{ 135, 0xffffffff }, { 157, 1, 0 }, { 157, 4, 1 }, { 103, 10 }, { 300, 0 }, { 294, 0 }, /* personality, prctl, syslog */
	};

	for (uint i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		out[i + 1] = call(tries[i][0], tries[i][1], tries[i][2], tries[i][3], tries[i][4], 0, 0);
	return sizeof(tries) / sizeof(tries[0]);
}

/* A process that goes on when the call is done. */
void start_child(void)
{
	if (!call(FORK, 0, 0, 0, 0, 0, 0))
		for (volatile uint i = 0;; i++)
			;
}

KERNEL(evil, 1, __global const uchar *in, __global ulong *out, uint n)
{
	uchar bytes[1024] = { 0 };

	switch (in[0]) {
	case 0: return; /* compiling tries it so */
	case 't': out[0] = try_all(out); return;
	case 'r': out[0] = call(OPEN, (long)(in + 1), 0, 0, 0, 0, 0); return;
	case 'k': start_child(); return;
	case 'f': forge(); break;
	case 'h': send_bytes(bytes, 100); break;
	case 'l': send_bytes(bytes, sizeof(bytes)); break;
	case 'd': send_descriptor(); break;
	case '0': send_bytes(bytes, 0); break;
	case 's': call(SHUTDOWN, SOCKET, 1, 0, 0, 0, 0); break;
	case 'c': call(CLOSE, SOCKET, 0, 0, 0, 0, 0); break;
	case 'e': call(EXIT_GROUP, 3, 0, 0, 0, 0, 0); break;
	}
	for (volatile uint i = 0; in[0] != 'x'; i++)
		;
}
