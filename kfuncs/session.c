// SPDX-License-Identifier: GPL-2.0
/*
 * Sessions of /dev/nestor, and which of them has which part.
 *
 * A session takes a part at its first command to it, and not when it opens the file, as modules of interface 1 had it: so
 * the agent's rooms open the file each for themselves, and whoever only asks for the version is in nobody's way. For an
 * agent of interface 1 the difference is that EBUSY comes with the first command to the cache.
 */
#include "kfuncs/compat.h"

#include "kfuncs/module.h"
#include "kfuncs/session.h"

#define PARTS_MAX 8

struct nestor_session {
	struct kref ref; /* the file's, each part's that it has, and those of nestor_session_get() */
};

static const struct nestor_part *const *parts;
static unsigned int nr_parts;

/* Who has each part. */
static struct {
	struct mutex lock; /* held during its commands */
	struct nestor_session *session; /* NULL: nobody */
} owners[PARTS_MAX];

static void free_session(struct kref *ref)
{
	kfree(container_of(ref, struct nestor_session, ref));
}

struct nestor_session *nestor_session_get(struct nestor_session *session)
{
	kref_get(&session->ref);
	return session;
}

void nestor_session_put(struct nestor_session *session)
{
	kref_put(&session->ref, free_session);
}

/* ---- who has a part; under its lock ---- */

static int take_part(unsigned int i, struct nestor_session *session)
{
	int r;

	if (owners[i].session)
		return owners[i].session == session ? 0 : -EBUSY;
	r = parts[i]->begin(session);
	if (!r)
		owners[i].session = nestor_session_get(session);
	return r;
}

static void leave_part(unsigned int i, struct nestor_session *session)
{
	if (owners[i].session != session)
		return;
	parts[i]->end();
	owners[i].session = NULL;
	nestor_session_put(session);
}

/* ---- calls ---- */

static int get_version(void __user *arg)
{
	struct nestor_version version = { .abi = NESTOR_ABI, .oldest_abi = NESTOR_ABI_OLDEST, .module = NESTOR_VERSION };
	unsigned int i;

	for (i = 0; i < nr_parts; i++) {
		version.features |= parts[i]->feature;
		parts[i]->describe(&version);
	}
	return copy_to_user(arg, &version, sizeof(version)) ? -EFAULT : 0;
}

static long command(unsigned int i, struct nestor_session *session, unsigned int cmd, void __user *arg)
{
	long r;

	if (mutex_lock_killable(&owners[i].lock))
		return -EINTR;
	r = take_part(i, session);
	if (!r)
		r = parts[i]->command(cmd, arg);
	mutex_unlock(&owners[i].lock);
	return r;
}

static long nestor_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	unsigned int i;

	if (cmd == NESTOR_GET_VERSION)
		return get_version((void __user *)arg);
	for (i = 0; i < nr_parts && _IOC_TYPE(cmd) == 'N'; i++)
		if (_IOC_NR(cmd) >= parts[i]->first && _IOC_NR(cmd) <= parts[i]->last)
			return command(i, file->private_data, cmd, (void __user *)arg);
	return -ENOTTY;
}

static int nestor_open(struct inode *inode, struct file *file)
{
	struct nestor_session *session;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	session = kzalloc(sizeof(*session), GFP_KERNEL);
	if (!session)
		return -ENOMEM;
	kref_init(&session->ref);
	file->private_data = session;
	return nonseekable_open(inode, file);
}

static int nestor_release(struct inode *inode, struct file *file)
{
	struct nestor_session *session = file->private_data;
	unsigned int i = nr_parts;

	while (i--) {
		mutex_lock(&owners[i].lock);
		leave_part(i, session);
		mutex_unlock(&owners[i].lock);
	}
	nestor_session_put(session);
	return 0;
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

int nestor_sessions_open(const struct nestor_part *const *all, unsigned int nr)
{
	unsigned int i;

	if (WARN_ON(nr > PARTS_MAX))
		return -EINVAL;
	parts = all;
	nr_parts = nr;
	for (i = 0; i < nr; i++)
		mutex_init(&owners[i].lock);
	return misc_register(&nestor_device);
}

void nestor_sessions_close(void)
{
	misc_deregister(&nestor_device);
}
