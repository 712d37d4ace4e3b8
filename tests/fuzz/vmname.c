// SPDX-License-Identifier: GPL-2.0
/*
 * The name of a VM, from any command line and cgroup, of which any user can make up both: there always is one, which
 * can be shown. A line with the monitor's program, one with the cgroup, then the arguments.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/utf8.h"
#include "agent/vms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
	if (!*name || *name == '~')
		abort();
	for (const char *s = name; *s; s += utf8_len(s))
		if (!utf8_len(s) || (unsigned char)*s < ' ' || *s == 0x7f)
			abort();
	if (strlen(name) + sizeof(":4194304") > OWNER_NAME_MAX)
		abort();
}

/* Cuts the first line off. */
static char *take_line(char **text, size_t *len)
{
	char *line = *text, *end = memchr(line, '\n', *len);

	if (!end)
		end = line + *len;
	else
		(*len)--;
	*len -= (size_t)(end - line);
	*text = *len ? end + 1 : end;
	*end = '\0';
	return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *memory = malloc(size + 1), *text = memory, name[OWNER_NAME_MAX], *path;
	const char *vmm;
	struct cmdline c;

	memcpy(memory, data, size);
	memory[size] = '\0';
	vmm = vm_vmm(take_line(&text, &size));
	path = take_line(&text, &size);
	c = (struct cmdline){ .text = text, .len = size };
	vm_name(vmm ? vmm : "qemu", &c, path, 42, name);
	check_name(name);
	cmdline_has(&c, "daemonize");
	vm_cut_path(path);
	free(memory);
	return 0;
}
