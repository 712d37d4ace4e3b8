// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/net/pinned_links.h"
#include "agent/lib/util.h"

#define PREFIX "netlimit_" /* of the programs' names */
#define MAPS_MAX 16
#define LINK_TYPE_TCX 11 /* enum bpf_link_type of Linux 6.6, which older headers lack */

/* ---- is it attached already? ---- */

struct program {
	struct bpf_prog_info info;
	__u32 maps[MAPS_MAX];
};

static int read_program(int fd, struct program *p)
{
	__u32 len = sizeof(p->info);

	*p = (struct program){ .info = { .nr_map_ids = MAPS_MAX, .map_ids = (__u64)(unsigned long)p->maps } };
	return bpf_obj_get_info_by_fd(fd, &p->info, &len) ? -errno : 0;
}

/* The tag is a hash of the instructions, which does not see which maps they use. */
static bool is_same_program(__u32 id, const struct bpf_program *prog)
{
	_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct program theirs, ours;

	if (fd < 0 || read_program(fd, &theirs) || read_program(bpf_program__fd(prog), &ours))
		return false;
	return !memcmp(theirs.info.tag, ours.info.tag, sizeof(ours.info.tag)) && theirs.info.nr_map_ids <= MAPS_MAX &&
	       theirs.info.nr_map_ids == ours.info.nr_map_ids && !memcmp(theirs.maps, ours.maps, sizeof(ours.maps));
}

/* 0 if what it was attached to is gone. */
static __u64 place_id(const struct bpf_link_info *info)
{
	if (info->type == BPF_LINK_TYPE_CGROUP)
		return info->cgroup.cgroup_id;
	return info->type == LINK_TYPE_TCX ? info->xdp.ifindex : 0; /* the first member of both */
}

static int read_link(const char *path, struct bpf_link_info *info)
{
	_close_ int fd = bpf_obj_get(path);
	__u32 len = sizeof(*info);

	if (fd < 0)
		return fd;
	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

static bool is_attached(const char *path, const struct bpf_program *prog, const struct net_place *place)
{
	struct bpf_link_info info;

	return !read_link(path, &info) && place_id(&info) == place->id && is_same_program(info.prog_id, prog);
}

/* ---- attaching ---- */

int net_pins_attach(const char *dir, const struct bpf_program *prog, const struct net_place *place, __u32 number)
{
	char path[PATH_MAX], new_path[PATH_MAX];
	_close_ int link = -1;

	snprintf(path, sizeof(path), "%s/%s_%08x", dir, bpf_program__name(prog), number);
	if (is_attached(path, prog, place))
		return 0;
	link = bpf_link_create(bpf_program__fd(prog), place->target, place->type, NULL);
	if (link < 0)
		return link;
	/* A name that nobody wants: if we die in between, the next sweep finds it. */
	snprintf(new_path, sizeof(new_path), "%s/%s_new_%08x", dir, PREFIX, number);
	unlink(new_path);
	if (bpf_obj_pin(link, new_path) || rename(new_path, path))
		return -errno;
	return 0;
}

/* ---- detaching ---- */

/* <program>_<8 hexadecimal digits>, of a link */
static bool read_pin(const char *dir, const char *name, struct net_pin *pin)
{
	const char *number = strrchr(name, '_');
	char path[PATH_MAX];
	struct bpf_link_info info;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || strlen(number) != 9)
		return false;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (read_link(path, &info) || (info.type != BPF_LINK_TYPE_CGROUP && info.type != LINK_TYPE_TCX))
		return false;
	*pin = (struct net_pin){ .number = (__u32)strtoul(number + 1, NULL, 16), .id = place_id(&info) };
	snprintf(pin->program, sizeof(pin->program), "%.*s", (int)(number - name), name);
	return true;
}

void net_pins_sweep(const char *dir, bool (*keep)(void *data, const struct net_pin *pin), void *data)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	struct net_pin pin;

	while (d && (entry = readdir(d)))
		if (read_pin(dir, entry->d_name, &pin) && !keep(data, &pin))
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
}
