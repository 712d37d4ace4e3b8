// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <cap-ng.h>
#include <linux/capability.h>

#include "agent/base/kernel.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

static const struct {
	unsigned int cap;
	const char *name;
	const char *what;
} needed[] = {
	{ CAP_BPF, "CAP_BPF", "load BPF programs" },
	{ CAP_PERFMON, "CAP_PERFMON", "attach BPF programs to tracepoints" },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN", "attach BPF programs to sockets and network interfaces" },
	{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "name cgroups by their ids" },
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "see which programs and taps are VMs'" },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "mount bpffs and measure BPF programs" },
	{ CAP_SETUID, "CAP_SETUID", "run the HTTP process as another user" },
	{ CAP_SETGID, "CAP_SETGID", "run the HTTP process as another user" },
	{ CAP_SYS_CHROOT, "CAP_SYS_CHROOT", "lock the HTTP process into an empty directory" },
};

static int check_privilege(void)
{
	if (geteuid())
		return log_error(-EPERM, "must run as root (it loads BPF programs); try sudo");
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!capng_have_capability(CAPNG_EFFECTIVE, needed[i].cap))
			return log_error(-EPERM, "%s is missing, which is needed to %s", needed[i].name, needed[i].what);
	return 0;
}

int kernel_keep_needed(void)
{
	/* httpd empties its bounding set with it, where we have it. */
	bool setpcap = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);

	capng_clear(CAPNG_SELECT_CAPS);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, needed[i].cap);
	if (setpcap)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SETPCAP);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return log_error(-EPERM, "cannot give up capabilities");
	return 0;
}

static int load_btf(struct kernel *k)
{
	k->btf = btf__load_vmlinux_btf();
	if (k->btf)
		return 0;
	return log_error(-EOPNOTSUPP,
			 "this kernel (%s) does not describe its types: /sys/kernel/btf/vmlinux is missing, "
			 "CONFIG_DEBUG_INFO_BTF=y is needed",
			 k->uts.release);
}

bool kernel_parse_hierarchy(const char *line, const struct mntent *mount, __u32 *ret_id)
{
	char controllers[256], *first;
	unsigned int id;

	if (sscanf(line, "%u:%255[^:]:", &id, controllers) != 2)
		return false;
	first = strtok(controllers, ",");
	if (!first || !hasmntopt(mount, first))
		return false;
	*ret_id = id;
	return true;
}

static int v1_hierarchy_id(const struct mntent *mount, __u32 *ret_id)
{
	_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX + 256];

	while (f && fgets(line, sizeof(line), f))
		if (kernel_parse_hierarchy(line, mount, ret_id))
			return 0;
	return -ENOENT;
}

static void add_hierarchy(struct kernel *k, const struct mntent *mount)
{
	struct hierarchy *h = &k->hierarchies[k->nr_hierarchies];
	bool v2 = !strcmp(mount->mnt_type, "cgroup2");

	if (k->nr_hierarchies == HIERARCHIES_MAX || (!v2 && strcmp(mount->mnt_type, "cgroup")))
		return;
	h->id = 0;
	if (!v2 && v1_hierarchy_id(mount, &h->id))
		return;
	if (!v2 && hasmntopt(mount, "memory")) {
		k->memory_v1 = true;
		k->task_hierarchy = h->id;
	}
	for (unsigned int i = 0; i < k->nr_hierarchies; i++)
		if (k->hierarchies[i].id == h->id)
			return; /* mounted twice: the first will do */
	h->mount_fd = open(mount->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->mount_fd < 0)
		return;
	snprintf(h->mount, sizeof(h->mount), "%s", mount->mnt_dir);
	k->nr_hierarchies++;
}

static void find_hierarchies(struct kernel *k)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *mount;

	while (mounts && (mount = getmntent(mounts)))
		add_hierarchy(k, mount);
	if (mounts)
		endmntent(mounts);
}

int kernel_probe(struct kernel *k)
{
	int err;

	*k = (struct kernel){};
	uname(&k->uts);
	err = check_privilege();
	if (!err)
		err = load_btf(k);
	if (!err)
		find_hierarchies(k);
	return err;
}

void kernel_drop_btf(struct kernel *k)
{
	btf__free(k->btf);
	k->btf = NULL;
}

void kernel_close(struct kernel *k)
{
	kernel_drop_btf(k);
	for (unsigned int i = 0; i < k->nr_hierarchies; i++)
		close(k->hierarchies[i].mount_fd);
	k->nr_hierarchies = 0;
}

bool kernel_has_tracepoint(const struct kernel *k, const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(k->btf, type, BTF_KIND_TYPEDEF) >= 0;
}

bool kernel_has_struct(const struct kernel *k, const char *name)
{
	return btf__find_by_name_kind(k->btf, name, BTF_KIND_STRUCT) >= 0;
}

const char *kernel_cgroup_mode(const struct kernel *k)
{
	bool v1 = false, v2 = false;

	for (unsigned int i = 0; i < k->nr_hierarchies; i++) {
		v1 |= k->hierarchies[i].id != 0;
		v2 |= k->hierarchies[i].id == 0;
	}
	if (v1)
		return v2 ? "hybrid" : "v1";
	return v2 ? "v2" : "none";
}

bool kernel_can_limit(const struct kernel *k)
{
	unsigned int major = 0, minor = 0;

	sscanf(k->uts.release, "%u.%u", &major, &minor);
	return major > 6 || (major == 6 && minor >= 12);
}

const struct hierarchy *kernel_hierarchy(const struct kernel *k, __u32 id)
{
	for (unsigned int i = 0; i < k->nr_hierarchies; i++)
		if (k->hierarchies[i].id == id)
			return &k->hierarchies[i];
	return NULL;
}

const struct hierarchy *kernel_task_hierarchy(const struct kernel *k)
{
	return kernel_hierarchy(k, k->task_hierarchy);
}

/* kernfs' file handles hold just the node's id (FILEID_KERNFS, fs/kernfs/mount.c). */
static int open_by_id(int mount_fd, __u64 id)
{
	struct {
		struct file_handle head;
		__u64 id;
	} handle = {
		.head = { .handle_bytes = sizeof(__u64), .handle_type = 0xfe },
	};

	memcpy(handle.head.f_handle, &id, sizeof(id));
	return open_by_handle_at(mount_fd, &handle.head, O_PATH | O_CLOEXEC);
}

int kernel_open_cgroup(const struct kernel *k, __u32 hierarchy, __u64 id, struct stat *ret)
{
	const struct hierarchy *h = kernel_hierarchy(k, hierarchy);
	int fd = h ? open_by_id(h->mount_fd, id) : -1;

	if (fd < 0)
		return h ? -errno : -ENOTCONN;
	if (fstat(fd, ret) || !ret->st_nlink) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

/* Did the kernel write " (deleted)" behind @path? A cgroup may be called so; then it can still be opened. */
static bool is_marked_deleted(const struct hierarchy *h, __u64 id, const char *path)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(path);
	_close_ int fd = -1;

	if (len < strlen(mark) || strcmp(path + len - strlen(mark), mark) != 0)
		return false;
	fd = open_by_id(h->mount_fd, id);
	return fd < 0;
}

int kernel_cgroup_path(const struct kernel *k, __u32 hierarchy, __u64 id, char *path, size_t size)
{
	const struct hierarchy *h = kernel_hierarchy(k, hierarchy);
	char link[64], full[PATH_MAX];
	struct stat st;
	_close_ int fd = kernel_open_cgroup(k, hierarchy, id, &st);
	size_t mount_len;
	ssize_t len;

	if (fd < 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, full, sizeof(full) - 1);
	if (len < 0)
		return -errno;
	full[len] = '\0';
	mount_len = strlen(h->mount);
	if (strncmp(full, h->mount, mount_len) || is_marked_deleted(h, id, full))
		return -ESTALE; /* not below this mount, or removed since it was opened */
	snprintf(path, size, "%s", full[mount_len] ? full + mount_len : "/");
	return 0;
}

struct cgroup_user kernel_cgroup_user(const struct kernel *k, __u32 hierarchy, const char *path)
{
	const struct hierarchy *h = kernel_hierarchy(k, hierarchy);
	char dir[PATH_MAX];
	struct stat st;

	for (const char *slash = strchr(path, '/'); h && slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - path);

		if (!len)
			continue; /* the mount itself */
		if (len >= sizeof(dir))
			break;
		memcpy(dir, path, len);
		dir[len] = '\0';
		if (fstatat(h->mount_fd, dir + 1, &st, AT_SYMLINK_NOFOLLOW))
			break;
		if (st.st_uid)
			return (struct cgroup_user){ .uid = st.st_uid, .from = (__u32)len };
	}
	return (struct cgroup_user){};
}
