/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_SYSTEMD_UNIT_H
#define NESTOR_SYSTEMD_UNIT_H

/* In names of systemd's units \xHH stands for a character, but NUL: undoes that, in place. */
void systemd_unit_unescape(char *text);

#endif
