// SPDX-License-Identifier: GPL-2.0
#include "kfuncs/cache/part.h"
#include "kfuncs/faults.h"
#include "kfuncs/module.h"

/* In the order in which they are opened. */
static const struct nestor_part *const parts[] = {
	&cache_part,
};

static void close_parts(unsigned int nr)
{
	while (nr--)
		parts[nr]->close();
}

static void withdraw_parts(unsigned int nr)
{
	while (nr--)
		parts[nr]->withdraw();
	nestor_sessions_close();
}

static int publish_parts(void)
{
	int r = nestor_sessions_open(parts, ARRAY_SIZE(parts));
	unsigned int i;

	for (i = 0; !r && i < ARRAY_SIZE(parts); i++) {
		r = parts[i]->publish();
		if (r)
			withdraw_parts(i);
	}
	return r;
}

static int open_parts(void)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		r = parts[i]->open();
		if (r)
			break;
	}
	if (!r)
		r = publish_parts();
	if (r)
		close_parts(i);
	return r;
}

static int __init nestor_init(void)
{
	bool faulty = begin_faults();
	int r = open_parts();

	end_faults(faulty);
	return r;
}

static void __exit nestor_exit(void)
{
	withdraw_parts(ARRAY_SIZE(parts));
	close_parts(ARRAY_SIZE(parts));
}

module_init(nestor_init);
module_exit(nestor_exit);
MODULE_DESCRIPTION("Nestor: functions for BPF programs, and a second-level page cache");
MODULE_AUTHOR("The Nestor authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(NESTOR_VERSION);
