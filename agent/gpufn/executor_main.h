/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process in which functions of one tenant run on one device. It may crash, hang, or be taken over by what it runs: it has
 * that tenant's data and nothing else, and is killed then.
 */
#ifndef NESTOR_GPUFN_EXECUTOR_MAIN_H
#define NESTOR_GPUFN_EXECUTOR_MAIN_H

#define GPUFN_EXECUTOR_NAME "nestord-gpufn-executor"
/*
 * argv: name, back end, number of the device there, directory of functions, directory of its own. Orders come by
 * GPUFN_ORDERS_FD; the end of them ends it. Returns an exit status.
 */
int gpufn_executor_main(char **argv);

#endif
