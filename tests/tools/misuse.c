// SPDX-License-Identifier: GPL-2.0
/*
 * misuse FILE.bpf.o: loads each program by itself. The one called "right" has to be taken and all others refused, by the
 * verifier and not for want of something. Prints a line for each, with what the kernel said; ends with 1 if one is wrong.
 */
#include <errno.h>
#include <error.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "agent/base/bpfobj.h"

static char log_text[65536];

static int silent(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

static bool is_as_it_has_to_be(const char *path, const char *name)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_program *prog;
	bool right = !strcmp(name, "right"), good;
	int err;

	if (!obj)
		error(1, errno, "%s", path);
	bpf_object__for_each_program (prog, obj)
		bpf_program__set_autoload(prog, false);
	prog = bpf_object__find_program_by_name(obj, name);
	bpf_program__set_autoload(prog, true);
	log_text[0] = '\0';
	bpf_program__set_log_buf(prog, log_text, sizeof(log_text));
	bpf_program__set_log_level(prog, 1);
	err = bpf_object__load(obj);
	/* Without a word of the verifier it was refused for another reason. */
	good = right ? !err : (err && log_text[0]);
	printf("%s %s: %s\n", good ? "good" : "BAD", name, err ? bpfobj_verdict(log_text) : "taken");
	bpf_object__close(obj);
	return good;
}

int main(int argc, char **argv)
{
	struct bpf_object *obj;
	struct bpf_program *prog;
	bool all = true;

	if (argc != 2)
		error(2, 0, "usage: misuse FILE.bpf.o");
	libbpf_set_print(silent);
	obj = bpf_object__open_file(argv[1], NULL);
	if (!obj)
		error(1, errno, "%s", argv[1]);
	bpf_object__for_each_program (prog, obj)
		all &= is_as_it_has_to_be(argv[1], bpf_program__name(prog));
	bpf_object__close(obj);
	return !all;
}
