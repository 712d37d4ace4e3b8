// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 512
 * What the kernel tells of processes, cgroups and interfaces, on any bytes. The first byte says which of them they are.
 */
#include <errno.h>

#include "agent/base/kernel.h"
#include "agent/who/vm_proc.h"
#include "agent/who/vm_scan.h"
#include "tests/fuzz/fuzz.h"

/* A process may call itself anything: the numbers behind its name stay what they are. */
static void check_stat(struct input in)
{
	unsigned int flags = take_byte(&in) * 0x01010101U, start = take_byte(&in) * 0x10203U;
	int session = take_byte(&in) * 8 - 1;
	struct vm_stat st = {};
	_free_ char *name = take_rest(&in), *line = NULL;

	if (!vm_parse_stat(name, &st))
		MUST(strchr(name, ')') && st.state);
	MUST(asprintf(&line, "7 (%s) S 1 2 %d 0 -1 %u 1 2 3 4 5 6 -7 -8 20 0 1 0 %u 8 9", name, session, flags, start) > 0);
	MUST(!vm_parse_stat(line, &st));
	MUST(st.state == 'S' && st.session == session && st.flags == flags && st.start == start);
}

/* As lines, and as the path of cgroup v2. */
static void check_path(struct input in)
{
	char path[OWNER_PATH_MAX], cut[OWNER_PATH_MAX];
	_free_ char *raw = take_rest(&in), *text = NULL, *lines = strdup(raw);

	MUST(lines);
	vm_parse_path(lines, path);
	MUST(strlen(path) < OWNER_PATH_MAX && !strchr(path, '\n') && strncmp(path, "/..", 3));
	raw[strcspn(raw, "\n")] = '\0';
	MUST(asprintf(&text, "12:cpu,cpuacct:/a\n0::%s\n", raw) > 0);
	vm_parse_path(text, path);
	if (strlen(raw) < OWNER_PATH_MAX) {
		strcpy(cut, strncmp(raw, "/..", 3) ? raw : "/");
		vm_cut_path(cut);
		MUST(!strcmp(path, cut));
	}
}

static void check_tun(struct input in)
{
	char name[IF_NAMESIZE] = "";
	_free_ char *text = take_rest(&in);

	if (vm_parse_tun(text, name))
		MUST(name[0] && !strchr(name, '\n') && strstr(text, name));
}

/* Memory of just their size, aligned as messages are. */
static void check_links(struct input in)
{
	_free_ char *messages = malloc(in.len + !in.len);

	MUST(messages);
	if (in.len)
		memcpy(messages, in.data, in.len);
	if (vm_parse_links(messages, (ssize_t)in.len))
		MUST(memmem(messages, in.len, "tun", 4) || memmem(messages, in.len, "macvtap", 8));
}

/* A first line with the options of a mount, then lines of /proc/self/cgroup. */
static void check_hierarchy(struct input in)
{
	_free_ char *options = take_until(&in, '\n'), *line = take_until(&in, '\n');
	struct mntent mount = { .mnt_opts = options };
	__u32 id = 0;

	if (kernel_parse_hierarchy(line, &mount, &id))
		MUST(strchr(line, ':') && *options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const checks[])(struct input in) = { check_stat, check_path, check_tun, check_links, check_hierarchy };
	struct input in = { data, size };

	checks[take_byte(&in) % ARRAY_SIZE(checks)](in);
	return 0;
}
