// SPDX-License-Identifier: GPL-2.0
/*
 * emptyprogs TRACEPOINT…: attaches a BPF program that does nothing to each, and waits for its end. What the kernel's
 * statistics say of them is the cost of the statistics.
 */
#include <errno.h>
#include <error.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

static void attach(const char *tracepoint)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP);
	int fd, id = libbpf_find_vmlinux_btf_id(tracepoint, BPF_TRACE_RAW_TP);

	if (id < 0)
		error(1, -id, "%s", tracepoint);
	opts.attach_btf_id = (__u32)id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "nothing", "GPL", nothing, 2, &opts);
	if (fd < 0 || bpf_raw_tracepoint_open(NULL, fd) < 0)
		error(1, errno, "%s", tracepoint);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		attach(argv[i]);
	for (;;)
		pause();
}
