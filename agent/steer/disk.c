// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "agent/steer/disk.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

/* One line of /sys/@dir/@name/@attribute. 0 or -errno. */
static int read_attribute(const char *dir, const char *name, const char *attribute, char *line, size_t size)
{
	char path[128];
	_fclose_ FILE *f = NULL;

	if (!name[0] || name[0] == '.' || strchr(name, '/'))
		return -ENODEV;
	snprintf(path, sizeof(path), "/sys/%s/%s/%s", dir, name, attribute);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	return fgets(line, (int)size, f) ? 0 : -EIO;
}

int disk_find(const char *name, struct disk *ret)
{
	struct disk disk = {};
	char line[128];
	int err;

	if (strlen(name) >= sizeof(disk.name))
		return -ENODEV;
	err = read_attribute("block", name, "dev", line, sizeof(line));
	if (!err && sscanf(line, "%u:%u", &disk.major, &disk.minor) != 2)
		err = -ENODEV;
	err = err ?: read_attribute("block", name, "diskseq", line, sizeof(line));
	if (!err && sscanf(line, "%llu", &disk.seq) != 1)
		err = -ENODEV;
	if (err)
		return err == -ENOENT || err == -ENOTDIR ? -ENODEV : err;
	memcpy(disk.name, name, strlen(name));
	*ret = disk;
	return 0;
}

bool disk_is_partition(const char *name)
{
	char line[16];

	return !read_attribute("class/block", name, "partition", line, sizeof(line));
}

bool disk_has_scheduler(const struct disk *disk, const char *scheduler)
{
	char line[128], chosen[64];

	snprintf(chosen, sizeof(chosen), "[%s]", scheduler);
	return !read_attribute("block", disk->name, "queue/scheduler", line, sizeof(line)) && strstr(line, chosen);
}

/* ---- the kernel tells of disks ---- */

/* "add@/devices/…", then KEY=VALUE strings, each ended by NUL. */
static bool is_disk(const char *message, size_t len)
{
	bool block = false, whole = false;

	if (strncmp(message, "add@", 4) && strncmp(message, "remove@", 7))
		return false;
	for (const char *p = message; p < message + len; p += strlen(p) + 1) {
		block |= !strcmp(p, "SUBSYSTEM=block");
		whole |= !strcmp(p, "DEVTYPE=disk");
	}
	return block && whole;
}

static void on_message(struct source *s)
{
	struct disk_watch *w = s->data;
	struct sockaddr_nl from;
	socklen_t from_len = sizeof(from);
	bool changed = false;
	char message[8192];
	ssize_t len;

	/* ENOBUFS: some were dropped */
	while ((len = recvfrom(s->fd, message, sizeof(message) - 1, 0, (struct sockaddr *)&from, &from_len)) >= 0 ||
	       errno == ENOBUFS) {
		message[len > 0 ? len : 0] = '\0';
		changed |= len < 0 || (!from.nl_pid && is_disk(message, (size_t)len));
		from_len = sizeof(from);
	}
	if (changed)
		w->changed(w->data);
}

int disk_watch_start(struct disk_watch *w, struct loop *l)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 /* the kernel's own messages, not udev's */ };
	int err;

	w->source = (struct source){ .ready = on_message, .data = w };
	w->source.fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (w->source.fd < 0)
		return log_error(-errno, "cannot hear of disks that come and go: %m");
	err = bind(w->source.fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	if (err)
		log_error(err, "cannot hear of disks that come and go: %s", strerror(-err));
	else
		err = loop_add(l, &w->source);
	if (err) {
		close(w->source.fd);
		w->source.fd = -1;
	}
	return err;
}

void disk_watch_stop(struct disk_watch *w, struct loop *l)
{
	if (w->source.fd >= 0)
		loop_remove(l, &w->source);
}
