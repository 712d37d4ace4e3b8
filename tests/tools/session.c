// SPDX-License-Identifier: GPL-2.0
/*
 * session check     tests the sessions of /dev/nestor, while no agent has one and no device is attached: whose a part is, the
 *                   version, and interface 1, in which agents speak that are older than NESTOR_GET_VERSION
 * session entries   prints how many entries the cache's index has memory for
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/lib/version.h"
#include "kfuncs/cache_session.h"
#include "kfuncs/session.h"
#include "tests/harness/tap.h"

/* As agents of interface 1 were built. */
struct old_pool {
	__u64 cgroup;
	__u32 id;
	__u32 weight[2];
	__u32 pad;
};
struct old_state {
	struct old_pool pool;
	__u64 pages[2], entitlement[2];
	__u64 gets, hits[2], puts[2], evictions[2], demotions, drops[6];
};
#define OLD_SET_POOL 0x40184e03UL
#define OLD_POOL_STATE 0xc0a84e05UL

static int open_session(void)
{
	int session = open("/dev/nestor", O_RDWR | O_CLOEXEC);

	if (session < 0)
		error(1, errno, "/dev/nestor");
	return session;
}

static int error_of(int session, unsigned long request, void *arg)
{
	return ioctl(session, request, arg) ? errno : 0;
}

static struct nestor_cache_index index_of(int session)
{
	struct nestor_cache_index index = { .entries = ~0ULL };

	if (ioctl(session, NESTOR_CACHE_GET_INDEX, &index))
		error(1, errno, "NESTOR_CACHE_GET_INDEX");
	return index;
}

static void check_version(int session)
{
	struct nestor_version v;
	__u32 rest = 0;

	memset(&v, 0xff, sizeof(v));
	is_u64(0, (unsigned int)error_of(session, NESTOR_GET_VERSION, &v), "the module tells its version");
	for (size_t i = 0; i < sizeof(v.reserved) / sizeof(*v.reserved); i++)
		rest |= v.reserved[i];
	ok(v.abi == NESTOR_ABI && v.oldest_abi == 1, "the module has this interface and the first one");
	ok(v.features & NESTOR_FEATURE_CACHE, "the module has the cache");
	is_str(nestor_version, v.module, "the module is of this release");
	ok(v.cache_stores == NESTOR_CACHE_STORES && v.cache_drops == NESTOR_CACHE_DROPS && v.cache_pools == NESTOR_CACHE_POOLS,
	   "the module tells the size of its arrays");
	is_u64(0, rest, "reserved fields of the version are 0");
}

static void check_owner(void)
{
	int first = open_session(), second = open_session();
	struct nestor_cache_index index;
	struct nestor_version v;

	is_u64(0, index_of(first).entries, "the index has no memory before the first attach");
	is_u64(EBUSY, (unsigned int)error_of(second, NESTOR_CACHE_GET_INDEX, &index),
	       "the first session has the cache, a second one is refused");
	is_u64(0, (unsigned int)error_of(second, NESTOR_GET_VERSION, &v), "a second session may ask for the version");
	close(first);
	is_u64(0, (unsigned int)error_of(second, NESTOR_CACHE_GET_INDEX, &index),
	       "a second session has the cache after the first one ended");
	close(second);
}

static void check_pools(int session)
{
	struct nestor_cache_pool pool = { .id = 7, .cgroup = 70, .weight = { 1, 2 } };
	struct nestor_cache_pool_state state = { .pool.id = 7 };
	struct old_pool old = { .id = 8, .cgroup = 80, .weight = { 3, 4 } };
	struct old_state old_state = { .pool.id = 8 };

	is_u64(ENOENT, (unsigned int)error_of(session, NESTOR_CACHE_POOL_STATE, &state), "a new session has no pools");
	is_u64(0, (unsigned int)error_of(session, NESTOR_CACHE_SET_POOL, &pool), "a pool is made");
	is_u64(0, (unsigned int)error_of(session, OLD_SET_POOL, &old), "interface 1: a pool is made");
	is_u64(0, (unsigned int)error_of(session, OLD_POOL_STATE, &old_state), "interface 1: a pool's state is told");
	ok(old_state.pool.cgroup == 80 && old_state.pool.weight[0] == 3 && old_state.pool.weight[1] == 4,
	   "interface 1: a pool's state is what was set");
	state.pool.id = 8;
	is_u64(0, (unsigned int)error_of(session, NESTOR_CACHE_POOL_STATE, &state),
	       "a pool made by interface 1 is told by this interface");
	ok(state.pool.cgroup == 80 && state.pool.weight[0] == 3 && state.pool.weight[1] == 4,
	   "a pool made by interface 1 has the state that was set");
	pool.weight[NESTOR_CACHE_STORES] = 1;
	is_u64(EINVAL, (unsigned int)error_of(session, NESTOR_CACHE_SET_POOL, &pool), "a share of a missing store is refused");
	is_u64(ENOTTY, (unsigned int)error_of(session, _IO('N', 31), NULL), "an unknown command is refused");
	is_u64(ENOTTY, (unsigned int)error_of(session, _IO('N', 200), NULL), "a command of no part of the module is refused");
}

int main(int argc, char **argv)
{
	int session;

	if (argc != 2 || (strcmp(argv[1], "check") != 0 && strcmp(argv[1], "entries") != 0))
		error(2, 0, "usage: session check|entries");
	if (!strcmp(argv[1], "check"))
		check_owner();
	session = open_session();
	if (!strcmp(argv[1], "entries")) {
		printf("%llu\n", index_of(session).entries);
		return 0;
	}
	check_version(session);
	check_pools(session);
	close(session);
	return done_testing();
}
