#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 120, lane: vm, long: yes
# Merging on Debian's kernels 6.1, 6.12 and sid's.
KERNELS="6.1 6.12 sid" exec "${0%_long.sh}.sh"
