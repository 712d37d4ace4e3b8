#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 240, lane: vm
# All rooms on Debian's kernel 6.12.
# shellcheck source=tests/core/kernel.sh
. "$(dirname "$0")/kernel.sh" 6.12 "$@"
