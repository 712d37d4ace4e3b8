/* SPDX-License-Identifier: GPL-2.0 */
/* For tests/gpufn/evil.sh: a function that uses its executor as somebody would who has taken it over. For x86-64. */

#define SOCKET 3 /* of orders and reports */
#define REPORT 504 /* bytes of a report */
#define RUN 2

enum { CLOSE = 3, SENDTO = 44, SENDMSG = 46, SHUTDOWN = 48, EXIT_GROUP = 231 };

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

KERNEL(evil, 1, __global const uchar *in, __global ulong *out, uint n)
{
	uchar bytes[1024] = { 0 };

	switch (in[0]) {
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
