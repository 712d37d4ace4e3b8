// SPDX-License-Identifier: GPL-2.0
#include <linux/moduleparam.h>

#include "kfuncs/faults.h"

unsigned int nestor_fail_nth;
module_param_named(fail_nth, nestor_fail_nth, uint, 0600);
MODULE_PARM_DESC(fail_nth, "which allocation of the module's next init or table fails, for tests; reads 0 if it did");
