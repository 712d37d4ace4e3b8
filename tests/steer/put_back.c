// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 20
 * lane: free
 * The former value of a cgroup file is known until it is back: whatever fails, whoever else writes, and wherever the agent is
 * killed. Values go through A, B and C, each step with one of several faults; then an agent without faults puts back.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/steer/cgroup_values.h"
#include "tests/harness/tap.h"

#define CGROUP "/inner"
#define STEPS 4 /* A, B, C, and none */
#define VALUE(n) "rbps=" #n " wbps=max riops=max wiops=max"

static const char former[] = VALUE(7), others[] = VALUE(99);
static const char *const values[STEPS - 1] = { VALUE(1), VALUE(2), VALUE(3) };

enum fault {
	NONE,
	WRITE_FAILS, /* EIO, without an effect */
	CHECK_FAILS, /* EMFILE, after it had its effect */
	NO_FILES, /* no descriptor is free */
	NO_DISKS, /* the disk cannot be looked up */
	NO_SPACE, /* the run directory takes a part of a line */
	OTHERS, /* another process writes before the step */
	FAULTS
};

static char mount_dir[32], io_max[64], run_path[48];
static int run_dir;
static enum fault fault;
static int steps_to_live; /* of those below; 0: for ever */

/* ---- in place of what they wrap ---- */

static void step(void)
{
	if (steps_to_live && !--steps_to_live)
		_exit(0);
}

static void put(const char *value)
{
	int fd = open(io_max, O_WRONLY | O_TRUNC | O_CLOEXEC);

	dprintf(fd, "8:0 %s\n", value);
	close(fd);
}

int __wrap_cgroup_file_write(const char *mount, const struct cgroup_value_id *id, const char *value);
int __wrap_cgroup_file_write(const char *mount, const struct cgroup_value_id *id, const char *value)
{
	(void)mount, (void)id;
	step();
	if (fault == WRITE_FAILS)
		return -EIO;
	put(value);
	step();
	return fault == CHECK_FAILS ? -EMFILE : 0;
}

int __wrap_disk_find(const char *name, struct disk *ret);
int __wrap_disk_find(const char *name, struct disk *ret)
{
	*ret = (struct disk){ .major = 8, .seq = 7 };
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	return fault == NO_DISKS ? -EMFILE : 0;
}

int __real_cgroup_journal_append(struct cgroup_values *set, const struct cgroup_value *s);
int __wrap_cgroup_journal_append(struct cgroup_values *set, const struct cgroup_value *s);
int __wrap_cgroup_journal_append(struct cgroup_values *set, const struct cgroup_value *s)
{
	const struct rlimit little = { 60, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY };
	int err;

	step();
	setrlimit(RLIMIT_FSIZE, fault == NO_SPACE ? &little : &all);
	err = __real_cgroup_journal_append(set, s);
	setrlimit(RLIMIT_FSIZE, &all);
	step();
	return err;
}

void __real_cgroup_journal_save(struct cgroup_values *set);
void __wrap_cgroup_journal_save(struct cgroup_values *set);
void __wrap_cgroup_journal_save(struct cgroup_values *set)
{
	step();
	__real_cgroup_journal_save(set);
	step();
}

/* ---- an agent's life ---- */

static void begin(struct cgroup_values *set)
{
	*set = (struct cgroup_values){ .run_dir = run_dir };
	TAILQ_INIT(&set->list);
	snprintf(set->mount, sizeof(set->mount), "%s", mount_dir);
}

static void pass(struct cgroup_values *set, unsigned int nr)
{
	const struct disk disk = { .name = "sda", .major = 8, .seq = 7 };
	const struct cgroup_value_id id = { SETTING_MAX, CGROUP, &disk };

	cgroup_values_begin(set);
	if (nr < STEPS - 1)
		cgroup_values_want(set, &id, values[nr], NULL);
	cgroup_values_end(set);
}

static void do_step(struct cgroup_values *set, unsigned int nr, enum fault kind)
{
	struct rlimit files;

	fault = kind;
	if (kind == OTHERS)
		put(others);
	getrlimit(RLIMIT_NOFILE, &files);
	if (kind == NO_FILES)
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, files.rlim_max });
	pass(set, nr);
	setrlimit(RLIMIT_NOFILE, &files);
	fault = NONE;
}

static void read_value(char *value, size_t size)
{
	int fd = open(io_max, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, value, size - 1);

	close(fd);
	value[n > 0 ? n : 0] = '\0';
}

/* The next agent, whom nothing fails. Is the former value back, or that of the other process which wrote? */
static bool is_put_back(bool others_wrote)
{
	struct cgroup_values set;
	char value[128];

	begin(&set);
	cgroup_journal_load(&set);
	cgroup_values_drop_all(&set);
	cgroup_values_close(&set);
	read_value(value, sizeof(value));
	return strstr(value, former) || (others_wrote && strstr(value, others));
}

static void start_anew(void)
{
	unlinkat(run_dir, SETTINGS_FILE, 0);
	put(former);
}

/* ---- the tests ---- */

static void describe(const enum fault *kinds, int lived)
{
	char value[128];

	read_value(value, sizeof(value));
	printf("# faults %d %d %d %d, %d steps: %s", (int)kinds[0], (int)kinds[1], (int)kinds[2], (int)kinds[3], lived, value);
}

static void test_faults(void)
{
	unsigned int bad = 0, all = 1;

	for (unsigned int i = 0; i < STEPS; i++)
		all *= FAULTS;
	for (unsigned int n = 0; n < all; n++) {
		enum fault kinds[STEPS];
		struct cgroup_values set;
		bool others_wrote = false;
		unsigned int rest = n;

		start_anew();
		begin(&set);
		for (unsigned int i = 0; i < STEPS; i++, rest /= FAULTS) {
			kinds[i] = rest % FAULTS;
			others_wrote |= kinds[i] == OTHERS;
			do_step(&set, i, kinds[i]);
		}
		cgroup_values_close(&set);
		if (!is_put_back(others_wrote) && !bad++)
			describe(kinds, 0);
	}
	is_u64(0, bad, named("cgroup values: the former value is back after each of %u sequences of faults", all));
}

/* One fault at most, and the agent is killed between any two of its steps. */
static void test_kills(void)
{
	unsigned int bad = 0, nr = 0;

	for (unsigned int at = 0; at < STEPS; at++)
		for (enum fault kind = NONE; kind < OTHERS; kind++)
			for (int lived = 1; lived < 24; lived++, nr++) {
				enum fault kinds[STEPS] = { [0] = NONE };
				pid_t pid;

				kinds[at] = kind;
				start_anew();
				pid = fork();
				if (!pid) {
					struct cgroup_values set;

					steps_to_live = lived;
					begin(&set);
					for (unsigned int i = 0; i < STEPS; i++)
						do_step(&set, i, kinds[i]);
					_exit(0);
				}
				waitpid(pid, NULL, 0);
				if (!is_put_back(false) && !bad++)
					describe(kinds, lived);
			}
	is_u64(0, bad, named("cgroup values: the former value is back after each of %u ends of the agent", nr));
}

int main(void)
{
	char inner[48], top[] = "/tmp/nestor-test.XXXXXX";

	if (!mkdtemp(top))
		return 1;
	/* As the run directory is. A disk would make each of thousands of renames wait. */
	if (!unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		mount("tmpfs", top, "tmpfs", 0, NULL);
	setvbuf(stdout, NULL, _IONBF, 0);
	signal(SIGXFSZ, SIG_IGN);
	close(STDERR_FILENO); /* each fault is logged */
	if (open("/dev/null", O_WRONLY) != STDERR_FILENO)
		return 1;
	snprintf(mount_dir, sizeof(mount_dir), "%s", top);
	snprintf(inner, sizeof(inner), "%s" CGROUP, top);
	snprintf(io_max, sizeof(io_max), "%s/io.max", inner);
	snprintf(run_path, sizeof(run_path), "%s/run", top);
	if (mkdir(inner, 0700) || mkdir(run_path, 0700) || close(open(io_max, O_CREAT | O_WRONLY, 0600)))
		return 1;
	run_dir = open(run_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	test_faults();
	test_kills();
	unlinkat(run_dir, SETTINGS_FILE, 0);
	unlink(io_max);
	rmdir(inner);
	rmdir(run_path);
	close(run_dir);
	umount(top);
	rmdir(top);
	return done_testing();
}
