#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 600, lane: vm, long: yes
# The second-level cache on real file systems, with Debian's kernels 6.12 and sid's: 10^5 operations in all.
OPERATIONS=50000 KERNELS="6.12 sid" exec "${0%_long.sh}.sh"
