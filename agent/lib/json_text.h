/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_JSON_TEXT_H
#define NESTOR_JSON_TEXT_H

#include <jansson.h>

/*
 * @text as a JSON string, a new reference. A message may quote bytes that are no UTF-8, and so may the name of a
 * container; JSON cannot say those: they become '?'. NULL without memory.
 */
json_t *json_text(const char *text);

#endif
