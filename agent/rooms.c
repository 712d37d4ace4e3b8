// SPDX-License-Identifier: GPL-2.0
#include "agent/room.h"
#include "agent/rooms.h"
#include "agent/lib/util.h"

#define DECLARE(stem) extern const struct room room_##stem;
ROOMS(DECLARE)
#define ADDRESS(stem) &room_##stem,
const struct room *const rooms[] = { ROOMS(ADDRESS) };

const unsigned int rooms_nr = ARRAY_SIZE(rooms);
