/* SPDX-License-Identifier: GPL-2.0 */
/* The commands of kfuncs/cache_session.h, as struct nestor_part has them. */
#ifndef NESTOR_KFUNCS_CACHE_COMMANDS_H
#define NESTOR_KFUNCS_CACHE_COMMANDS_H

#include "kfuncs/compat.h"

struct nestor_session;
struct nestor_version;

int cache_commands_begin(struct nestor_session *session);
/* Waits until no read needs a store any more. */
void cache_commands_end(void);
long cache_command(unsigned int cmd, void __user *arg);
void cache_commands_describe(struct nestor_version *version);

/* A session has the cache: puts are taken. Under rcu_read_lock(): they end before it does. */
bool cache_in_session(void);

#endif
