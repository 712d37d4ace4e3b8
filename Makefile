# SPDX-License-Identifier: GPL-2.0
#
# Facts and targets. The rules stand beside what they build, in */rules.mk; what make install puts where, in agent/install.tsv.
# Built files mirror the tree under build/. Sources are found by wildcard.

VERSION := 0.1.0

PREFIX ?= /usr/local
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')

# SANITIZE=address,undefined builds the same under build/asan, for tests
SANITIZE ?=
B := build$(if $(SANITIZE),/asan)

override CPPFLAGS += -iquote . -D_GNU_SOURCE
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -Wall -Wextra -Werror -fstack-protector-strong -fPIE \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
override LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LDLIBS := -lbpf -lelf -lcgroup -lcyaml -lyaml -ljansson -lmicrohttpd -lseccomp -lcap-ng -lsystemd -lblkid -lncursesw -ltinfo -ldevmapper -lm

# All processors, unless make was told -j; a make that another started shares its.
MAKEFLAGS += -r $(if $(filter 0,$(MAKELEVEL)),-j$(shell nproc))
# A build runs as the user who called sudo, who may not use the tokens of root's make.
AS_USER := $(if $(filter-out root,$(SUDO_USER)),runuser -u $(SUDO_USER) --)
BUILD = $(Q)+$(AS_USER) env MAKEFLAGS='$(filter-out --jobserver%,$(MAKEFLAGS))' $(MAKE) --no-print-directory
DEPS = $(Q).ci/deps build check

Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-8s %s\n' $(1) $(2))
# Writes what changes seldom, and is the reason to build others anew when it does.
stamp = $(Q)mkdir -p $(@D) && printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' > $@

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: FORCE help deps all run check check-quick check-long lint bench install uninstall fmt clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile */rules.mk

deps: ## install the packages that building and running take (Debian 12 and 13)
	$(Q).ci/deps build

all: $(B)/nestord $(B)/nestorctl $(B)/libnestor-gpufn.a $(B)/policy.yaml $(B)/man/nestor-policy.5 ## build nestord and nestorctl into build/

run: ## install what is missing, build, start the agent in the foreground (sudo make run)
	$(Q).ci/deps build
	$(BUILD) all
	$(Q)exec $(B)/nestord $(ARGS)

check: ## install what is missing, build, run all tests but long ones (sudo make check)
check-quick: TESTS_KIND = --quick
check-quick: ## as check, but only tests that boot no VM and are quick (4 minutes)
check-long: TESTS_KIND = --long
check-long: ## as check, but only tests that take long
check check-quick check-long:
	$(DEPS)
	$(BUILD) all tests
	$(BUILD) SANITIZE=address,undefined all tests
	$(BUILD) fuzzers
	$(Q)tests/run $(TESTS_KIND) $(TESTS_ONLY)

lint: all ## clang-format, clang-tidy, cppcheck, shellcheck
	$(Q)tests/project/lint.sh

bench: ## measure, and store the figures under tests/bench/results/ (sudo make bench)
	$(Q).ci/deps build check bench
	$(BUILD) all tests
	$(Q)set -e; for bench in cost 'cost --vm' iops 'iops --vm' cachehits cachestream scrape memory net gpufn profiles pcache cache \
		gpu dedup; do set -- $$bench; tests/bench/$$1.sh $$2; done

install: all ## install below PREFIX (/usr/local), into DESTDIR
	agent/install.sh install agent "$(PREFIX)" "$(DESTDIR)"
	$(if $(DESTDIR),,-systemd-sysusers $(PREFIX)/lib/sysusers.d/nestor.conf)

uninstall: ## remove what install put there, and the pinned counters; /etc/nestor stays
	$(if $(DESTDIR),,-$(PREFIX)/sbin/nestorctl reset)
	agent/install.sh uninstall agent "$(PREFIX)" "$(DESTDIR)"

fmt: ## format all C files
	$(Q)git ls-files '*.[ch]' | grep -v '^vmlinux.h$$' | xargs clang-format -i

clean: ## remove what was built, but not cached kernels
	$(Q)find build -mindepth 1 -maxdepth 1 ! -name vm -exec rm -rf {} + 2>/dev/null || true

include bpf/rules.mk gpu/rules.mk dashboards/rules.mk agent/rules.mk kfuncs/rules.mk tests/rules.mk
# Of a file that has gone, this may name headers that have gone: -MP gives them empty rules.
-include $(shell find build -path build/vm -prune -o -name '*.d' -print 2>/dev/null)
