/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control socket, RUN_DIR/control.sock (0600, peer credentials checked): one packet of words, each
 * ended by NUL, and one reply (agent/lib/ipc.h) per connection. With "load" comes an object file, as a descriptor.
 *
 *	metrics | rooms | status | policy | show ROOM | reload | reset | load ROOM | unload ROOM
 */
#ifndef NESTOR_CONTROL_H
#define NESTOR_CONTROL_H

#include <stddef.h>

#include "agent/base/defaults.h"

struct agent;
struct buf;
struct control;
struct reload;

int control_start(struct agent *a, struct reload *reload, struct control **ret);
void control_stop(struct control *c);

/*
 * The answer to one packet, and to @file that came with it (-1: none), into @out; for tests, too. @packet has room for two
 * bytes behind its @len. 0, or -errno with the reason in @out.
 */
int control_answer(struct agent *a, struct reload *reload, char *packet, size_t len, int file, struct buf *out);

#endif
