#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 300, lane: vm, long: yes
# Each allocation of the module fails once, and the module is removed under traffic three times.
STEP=1 CYCLES=3 exec "${0%_long.sh}.sh"
