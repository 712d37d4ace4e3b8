// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/dedup/mergeable.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "build/bpf/dedup/dedup.skel.h"

#define PAGE 4096
#define READ_RECORDS 1024

struct mergeable {
	struct dedup_bpf *bpf;
	struct bpf_link *iterator;
};

/* Nobody else has a page with that content. It is locked: what is swapped out ksmd does not come by. */
static int enter_list(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	if (getrandom(page, PAGE, 0) != PAGE || mlock(page, PAGE) || madvise(page, PAGE, MADV_MERGEABLE))
		return -errno;
	return 0;
}

/* bpf_seq_read() ends early with EAGAIN where it has gone through a million tasks without a word. */
static ssize_t read_some(int fd, struct dedup_mergeable *to)
{
	ssize_t got;

	do
		got = read(fd, to, READ_RECORDS * sizeof(*to));
	while (got < 0 && (errno == EAGAIN || errno == EINTR));
	return got < 0 ? -errno : got / (ssize_t)sizeof(*to);
}

static int read_all(const struct mergeable *m, struct dedup_mergeable **all, size_t *n)
{
	_close_ int fd = bpf_iter_create(bpf_link__fd(m->iterator));
	ssize_t got = fd < 0 ? -errno : 1;

	while (got > 0) {
		struct dedup_mergeable *more = reallocarray(*all, *n + READ_RECORDS, sizeof(*more));

		if (!more)
			return -ENOMEM;
		*all = more;
		got = read_some(fd, *all + *n);
		*n += got > 0 ? (size_t)got : 0;
	}
	return (int)got;
}

static size_t leave_out(struct dedup_mergeable *all, size_t n, __u32 pid)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (all[i].pid != pid)
			all[kept++] = all[i];
	return kept;
}

int mergeable_look(const struct mergeable *m, struct dedup_mergeable **ret, size_t *ret_n)
{
	struct dedup_mergeable *all = NULL;
	size_t n = 0;
	int err = read_all(m, &all, &n);

	*ret_n = err ? 0 : leave_out(all, n, (__u32)getpid());
	if (!err && *ret_n == n)
		err = -ENOTSUP;
	if (err) {
		free(all);
		return log_error(err, "dedup: the kernel does not tell whose memory is mergeable: %s", strerror(-err));
	}
	*ret = all;
	return 0;
}

static int load(struct mergeable *m, bool memory_v1)
{
	int err;

	m->bpf = dedup_bpf__open();
	if (!m->bpf)
		return -errno;
	m->bpf->rodata->memory_v1 = memory_v1;
	err = dedup_bpf__load(m->bpf);
	if (err)
		return err;
	m->iterator = bpf_program__attach_iter(m->bpf->progs.dedup_look, NULL);
	return m->iterator ? 0 : -errno;
}

int mergeable_open(bool memory_v1, struct mergeable **ret)
{
	struct mergeable *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return log_error(-ENOMEM, "dedup: no memory");
	err = load(m, memory_v1);
	if (err)
		log_error(err, "dedup: the kernel refuses the BPF program that looks whose memory is mergeable: %s",
			  strerror(-err));
	else if ((err = enter_list()))
		log_error(err, "dedup: cannot make a page mergeable: %s", strerror(-err));
	if (err)
		mergeable_close(m);
	else
		*ret = m;
	return err;
}

void mergeable_close(struct mergeable *m)
{
	if (!m)
		return;
	bpf_link__destroy(m->iterator);
	dedup_bpf__destroy(m->bpf);
	free(m);
}
