// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/compat.h"

#include "kfuncs/cache/dm.h"
#include "kfuncs/cache/index.h"
#include "kfuncs/cache/memory.h"
#include "kfuncs/cache/pool.h"
#include "kfuncs/cache/ssd_io.h"
#include "kfuncs/module.h"
#include "kfuncs/session.h"

static atomic_t taken; /* somebody has the file open */
static bool accepting;
static DEFINE_MUTEX(commands); /* one at a time */

bool nestor_session_is_open(void)
{
	return READ_ONCE(accepting);
}

static int nestor_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (atomic_xchg(&taken, 1))
		return -EBUSY;
	cache_pools_open();
	WRITE_ONCE(accepting, true);
	return nonseekable_open(inode, file);
}

/* Reads under way may hold pages of a store for the time of a copy. */
static void empty_stores(void)
{
	cache_ssd_io_close();
	cache_memory_set_limit(0);
	for (cache_memory_balance(); cache_memory_held(); cache_memory_balance())
		schedule_timeout_uninterruptible(1);
}

static int nestor_release(struct inode *inode, struct file *file)
{
	WRITE_ONCE(accepting, false);
	/* Puts have ended then. */
	synchronize_rcu();
	empty_stores();
	cache_pools_close();
	atomic_set(&taken, 0);
	return 0;
}

/* ---- calls ---- */

static int set_limit(void __user *arg)
{
	struct nestor_cache_limit limit;

	if (copy_from_user(&limit, arg, sizeof(limit)))
		return -EFAULT;
	if (limit.store != NESTOR_CACHE_MEMORY || limit.pad || limit.pages > totalram_pages())
		return -EINVAL;
	cache_memory_set_limit(limit.pages);
	cache_memory_balance();
	return 0;
}

static int get_limit(void __user *arg)
{
	struct nestor_cache_limit limit;

	if (copy_from_user(&limit, arg, sizeof(limit)))
		return -EFAULT;
	if (limit.store >= NESTOR_CACHE_STORES)
		return -EINVAL;
	limit.pages = limit.store == NESTOR_CACHE_SSD ? cache_ssd_limit() : cache_memory_limit();
	limit.held = limit.store == NESTOR_CACHE_SSD ? cache_ssd_limit() : cache_memory_held();
	limit.errors = limit.store == NESTOR_CACHE_SSD ? cache_ssd_io_errors() : 0;
	return copy_to_user(arg, &limit, sizeof(limit)) ? -EFAULT : 0;
}

static int open_ssd(void __user *arg)
{
	struct nestor_cache_ssd want;

	if (copy_from_user(&want, arg, sizeof(want)))
		return -EFAULT;
	return want.pad ? -EINVAL : cache_ssd_io_open(want.fd, want.pages);
}

static int set_pool(void __user *arg)
{
	struct nestor_cache_pool pool;

	if (copy_from_user(&pool, arg, sizeof(pool)))
		return -EFAULT;
	return cache_pool_set(&pool);
}

static int get_pool_state(void __user *arg)
{
	const u64 limits[NESTOR_CACHE_STORES] = { cache_memory_limit(), cache_ssd_limit() };
	struct nestor_cache_pool_state state;
	int r;

	if (copy_from_user(&state, arg, sizeof(state)))
		return -EFAULT;
	r = cache_pool_state(&state, limits);
	if (r)
		return r;
	return copy_to_user(arg, &state, sizeof(state)) ? -EFAULT : 0;
}

static void empty_pool(struct cache_pool *pool)
{
	cache_memory_drop_pool(pool);
	cache_ssd_drop_pool(pool);
}

static int drop_pool(void __user *arg)
{
	u32 id;

	if (copy_from_user(&id, arg, sizeof(id)))
		return -EFAULT;
	return cache_pool_retire(id, empty_pool);
}

static int get_latency(void __user *arg)
{
	struct nestor_cache_latency latency;
	int r;

	if (copy_from_user(&latency, arg, sizeof(latency)))
		return -EFAULT;
	r = cache_dm_latency(&latency);
	if (r)
		return r;
	return copy_to_user(arg, &latency, sizeof(latency)) ? -EFAULT : 0;
}

static int get_index(void __user *arg)
{
	struct nestor_cache_index state;

	cache_index_count(&state.entries, &state.free);
	return copy_to_user(arg, &state, sizeof(state)) ? -EFAULT : 0;
}

static long command(unsigned int cmd, void __user *p)
{
	switch (cmd) {
	case NESTOR_CACHE_SET_LIMIT:
		return set_limit(p);
	case NESTOR_CACHE_GET_LIMIT:
		return get_limit(p);
	case NESTOR_CACHE_SET_POOL:
		return set_pool(p);
	case NESTOR_CACHE_DROP_POOL:
		return drop_pool(p);
	case NESTOR_CACHE_POOL_STATE:
		return get_pool_state(p);
	case NESTOR_CACHE_OPEN_SSD:
		return open_ssd(p);
	case NESTOR_CACHE_CLOSE_SSD:
		cache_ssd_io_close();
		return 0;
	case NESTOR_CACHE_GET_LATENCY:
		return get_latency(p);
	case NESTOR_CACHE_GET_INDEX:
		return get_index(p);
	default:
		return -ENOTTY;
	}
}

static long nestor_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	long r;

	mutex_lock(&commands);
	r = command(cmd, (void __user *)arg);
	mutex_unlock(&commands);
	return r;
}

static const struct file_operations nestor_fops = {
	.owner = THIS_MODULE,
	.open = nestor_open,
	.release = nestor_release,
	.unlocked_ioctl = nestor_ioctl,
};

static struct miscdevice nestor_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "nestor",
	.fops = &nestor_fops,
	.mode = 0600,
};

int nestor_session_open(void)
{
	return misc_register(&nestor_device);
}

void nestor_session_close(void)
{
	misc_deregister(&nestor_device);
}
