// SPDX-License-Identifier: GPL-2.0
/*
 * verified FILE.bpf.o…: loads each object with its defaults, and each program that is not loaded by default on its own,
 * where this kernel takes it. Prints "program instructions", as the verifier walked them.
 */
#include <errno.h>
#include <error.h>
#include <stdio.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static struct bpf_object *open_object(const char *path)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_map *map;

	if (!obj)
		error(1, errno, "%s", path);
	bpf_object__for_each_map (map, obj)
		bpf_map__set_pin_path(map, NULL);
	return obj;
}

static void print_program(const struct bpf_program *prog)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
		error(1, errno, "%s", bpf_program__name(prog));
	printf("%s %u\n", bpf_program__name(prog), info.verified_insns);
}

static void print_optional(const char *path, const char *name)
{
	struct bpf_object *obj = open_object(path);
	struct bpf_program *prog;

	bpf_object__for_each_program (prog, obj)
		bpf_program__set_autoload(prog, false);
	prog = bpf_object__find_program_by_name(obj, name);
	bpf_program__set_autoload(prog, true);
	if (!bpf_object__load(obj))
		print_program(prog);
	bpf_object__close(obj);
}

static void print_programs(const char *path)
{
	struct bpf_object *obj = open_object(path);
	struct bpf_program *prog;

	if (bpf_object__load(obj))
		error(1, errno, "%s: load", path);
	bpf_object__for_each_program (prog, obj) {
		if (bpf_program__autoload(prog))
			print_program(prog);
		else
			print_optional(path, bpf_program__name(prog));
	}
	bpf_object__close(obj);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		error(2, 0, "usage: verified FILE.bpf.o...");
	for (int i = 1; i < argc; i++)
		print_programs(argv[i]);
	return 0;
}
