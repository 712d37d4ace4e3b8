// SPDX-License-Identifier: GPL-2.0
/*
 * Reads what dm-log-writes has logged (Documentation/admin-guide/device-mapper/log-writes.rst).
 *
 *   logreplay LOG                     prints "N flush", "N fua" and "N mark NAME": up to entry N, exclusive, all is as a
 *                                     disk has it that loses its power then
 *   logreplay LOG TARGET FROM TO [SEED]
 *                                     does entries FROM to TO, exclusive, to TARGET. With SEED each write that no flush
 *                                     follows before TO may be left out, as a disk may
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC 0x6a736677736872ULL

enum { FLUSH = 1, FUA = 2, DISCARD = 4, MARK = 8 };

struct super {
	uint64_t magic, version, nr_entries;
	uint32_t sectorsize;
} __attribute__((packed));

struct entry {
	uint64_t sector, nr_sectors, flags, data_len;
};

static int log_fd, target_fd = -1;
static struct super super;
static uint64_t position; /* bytes, of the entry that comes */

static void read_at(int fd, void *to, size_t size, uint64_t at)
{
	if (pread(fd, to, size, (off_t)at) != (ssize_t)size)
		error(1, errno, "cannot read %zu bytes at %llu", size, (unsigned long long)at);
}

/* The entry, and where its data is. */
static struct entry next_entry(uint64_t *data)
{
	struct entry e;

	read_at(log_fd, &e, sizeof(e), position);
	*data = position + super.sectorsize;
	position = *data + (e.flags & DISCARD ? 0 : e.nr_sectors * super.sectorsize);
	return e;
}

static void apply(const struct entry *e, uint64_t data)
{
	uint64_t size = e->nr_sectors * super.sectorsize;
	char *bytes = calloc(1, size ?: 1); /* what is discarded reads as zeroes */

	if (!(e->flags & DISCARD))
		read_at(log_fd, bytes, size, data);
	if (pwrite(target_fd, bytes, size, (off_t)(e->sector * super.sectorsize)) != (ssize_t)size)
		error(1, errno, "cannot write %llu bytes", (unsigned long long)size);
	free(bytes);
}

static void print_mark(uint64_t n, const struct entry *e)
{
	char name[256] = "";

	read_at(log_fd, name, e->data_len < sizeof(name) ? e->data_len : sizeof(name) - 1,
		position - super.sectorsize + sizeof(*e));
	printf("%llu mark %s\n", (unsigned long long)n, name);
}

static void print_points(void)
{
	for (uint64_t n = 1; n <= super.nr_entries; n++) {
		uint64_t data;
		struct entry e = next_entry(&data);

		if (e.flags & MARK)
			print_mark(n, &e);
		else if (e.flags & (FLUSH | FUA))
			printf("%llu %s\n", (unsigned long long)n, e.flags & FLUSH ? "flush" : "fua");
	}
}

/* The number of entries up to the last flush before @to. */
static uint64_t last_flush(uint64_t to)
{
	uint64_t start = position, found = 0, data;

	for (uint64_t n = 0; n < to; n++) {
		struct entry e = next_entry(&data);

		if (e.flags & FLUSH)
			found = n;
	}
	position = start;
	return found;
}

static void replay(uint64_t from, uint64_t to, unsigned int seed)
{
	uint64_t sure = seed ? last_flush(to) : to, data;

	for (uint64_t n = 0; n < to; n++) {
		struct entry e = next_entry(&data);
		bool lost = n >= sure && !(e.flags & FUA) && rand_r(&seed) % 2;

		if (n >= from && e.nr_sectors && !lost)
			apply(&e, data);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 5 && argc != 6)
		error(2, 0, "usage: logreplay LOG [TARGET FROM TO [SEED]]");
	log_fd = open(argv[1], O_RDONLY);
	if (log_fd < 0)
		error(1, errno, "%s", argv[1]);
	read_at(log_fd, &super, sizeof(super), 0);
	if (super.magic != MAGIC)
		error(1, 0, "%s is no log of dm-log-writes", argv[1]);
	position = super.sectorsize;
	if (argc == 2) {
		print_points();
		return 0;
	}
	target_fd = open(argv[2], O_RDWR);
	if (target_fd < 0)
		error(1, errno, "%s", argv[2]);
	replay(strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0), argc > 5 ? (unsigned int)atoi(argv[5]) : 0);
	return fsync(target_fd) ? 1 : 0;
}
