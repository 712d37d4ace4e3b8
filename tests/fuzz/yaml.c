// SPDX-License-Identifier: GPL-2.0
/* The index of a policy file, on any bytes: it ends, stays in its bounds, and its places are in the text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct yaml_index index;
	struct yaml_place place;
	char why[256] = "";

	if (yaml_index((const char *)data, size, &index, &place, why, sizeof(why)) && !why[0])
		abort(); /* refused without a reason */
	for (size_t i = 0; i < index.nr; i++)
		if (!index.keys[i].key.line || index.keys[i].key.line > size + 1)
			abort();
	return 0;
}
