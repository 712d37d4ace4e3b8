// SPDX-License-Identifier: GPL-2.0
#include "compat.h"

#include "cache_index.h"
#include "cache_memory.h"
#include "cache_pool.h"
#include "module.h"
#include "session.h"

static atomic_t taken; /* somebody has the file open */
static bool accepting;

bool session_is_open(void)
{
	return READ_ONCE(accepting);
}

static int nestor_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (atomic_xchg(&taken, 1))
		return -EBUSY;
	pools_open();
	WRITE_ONCE(accepting, true);
	return nonseekable_open(inode, file);
}

/* Reads under way may hold pages of a store for the time of a copy. */
static void empty_stores(void)
{
	memory_set_limit(0);
	for (memory_balance(); memory_held(); memory_balance())
		schedule_timeout_uninterruptible(1);
}

static int nestor_release(struct inode *inode, struct file *file)
{
	WRITE_ONCE(accepting, false);
	/* Puts have ended then. */
	synchronize_rcu();
	empty_stores();
	pools_close();
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
	memory_set_limit(limit.pages);
	memory_balance();
	return 0;
}

static int get_limit(void __user *arg)
{
	struct nestor_cache_limit limit;

	if (copy_from_user(&limit, arg, sizeof(limit)))
		return -EFAULT;
	if (limit.store != NESTOR_CACHE_MEMORY)
		return -EINVAL;
	limit.pages = memory_limit();
	limit.held = memory_held();
	return copy_to_user(arg, &limit, sizeof(limit)) ? -EFAULT : 0;
}

static int set_pool(void __user *arg)
{
	struct nestor_cache_pool pool;

	if (copy_from_user(&pool, arg, sizeof(pool)))
		return -EFAULT;
	return pool_set(&pool);
}

static int get_pool_state(void __user *arg)
{
	const u64 limits[NESTOR_CACHE_STORES] = { memory_limit() };
	struct nestor_cache_pool_state state;
	int r;

	if (copy_from_user(&state, arg, sizeof(state)))
		return -EFAULT;
	r = pool_state(&state, limits);
	if (r)
		return r;
	return copy_to_user(arg, &state, sizeof(state)) ? -EFAULT : 0;
}

static int drop_pool(void __user *arg)
{
	u32 id;

	if (copy_from_user(&id, arg, sizeof(id)))
		return -EFAULT;
	return memory_drop_pool(id);
}

static int get_index(void __user *arg)
{
	struct nestor_cache_index state;

	index_count(&state.entries, &state.free);
	return copy_to_user(arg, &state, sizeof(state)) ? -EFAULT : 0;
}

static long nestor_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;

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
	case NESTOR_CACHE_GET_INDEX:
		return get_index(p);
	default:
		return -ENOTTY;
	}
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

int session_open(void)
{
	return misc_register(&nestor_device);
}

void session_close(void)
{
	misc_deregister(&nestor_device);
}
