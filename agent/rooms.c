// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "agent/room.h"
#include "agent/lib/util.h"

extern const struct room room_blkio;
extern const struct room room_cache;
extern const struct room room_dedup;
extern const struct room room_gpufn;
extern const struct room room_net;
extern const struct room room_pcache;

const struct room *const rooms[] = {
	&room_blkio, &room_cache, &room_dedup, &room_gpufn, &room_net, &room_pcache,
};

const unsigned int nr_rooms = ARRAY_SIZE(rooms);

const struct room *room_find(const char *name)
{
	for (unsigned int i = 0; i < nr_rooms; i++)
		if (!strcmp(rooms[i]->name, name))
			return rooms[i];
	return NULL;
}
