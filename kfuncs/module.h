/* SPDX-License-Identifier: GPL-2.0 */
/* The module as a whole: what its parts ask of each other. */
#ifndef NESTOR_MODULE_H
#define NESTOR_MODULE_H

/* Lets a worker bring the stores and the index to the size they want, if they are not. Any context. */
void nestor_module_balance(void);

/* The agent's session is open: puts are taken. */
bool nestor_session_is_open(void);
int nestor_session_open(void);
void nestor_session_close(void);

int cache_kfuncs_open(void);

#endif
