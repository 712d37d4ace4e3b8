#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# budget: 240, lane: vm
# All rooms on Debian's kernel sid.
# shellcheck source=tests/core/kernel.sh
. "$(dirname "$0")/kernel.sh" sid "$@"
