# SPDX-License-Identifier: GPL-2.0
#
# Built files mirror the tree under build/. Files are found by wildcard: bpf/*/*.bpf.c, agent/*/*.c, tests/*/*.

VERSION := 0.1.0
REVISION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

PREFIX ?= /usr/local
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')

# SANITIZE=address,undefined builds the same under build/asan, for tests
SANITIZE ?=
B := build$(if $(SANITIZE),/asan)

CPPFLAGS += -iquote . -D_GNU_SOURCE -DNESTOR_VERSION='"$(VERSION)"' -DNESTOR_REVISION='"$(REVISION)"'
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -Wall -Wextra -Werror -fstack-protector-strong -fPIE \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
override LDFLAGS += -pie -Wl,-z,relro,-z,now $(if $(SANITIZE),-fsanitize=$(SANITIZE))
BPF_CFLAGS := -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(ARCH) -iquote . -Wall -Wextra -Werror -Wno-unused-parameter
LDLIBS := -lbpf -lelf -lcgroup -lcyaml -lyaml -ljansson -lmicrohttpd -lseccomp -lcap-ng -lsystemd -lblkid -lm

# Commands that build run as the user who called sudo.
AS_USER := $(if $(filter-out root,$(SUDO_USER)),runuser -u $(SUDO_USER) --)

BPF_OBJS := $(patsubst %.bpf.c,build/%.bpf.o,$(wildcard bpf/*/*.bpf.c))
SKELETONS := $(BPF_OBJS:.bpf.o=.skel.h)
.DEFAULT_GOAL := help
include dashboards/rules.mk
# The oldest of NVIDIA's architectures that is supported; drivers compile it for newer ones.
GPU_ARCH := sm_70
# Kernels for GPUs, in one program: as source for OpenCL, and compiled for that.
GPU_SOURCES := gpu/dialect.clh $(wildcard gpu/kernels/*.cl)
GPU_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard gpu/*.c gpu/fn/*.c gpu/kernels/*.c gpu/sched/*.c)) $(B)/gpu/kernels.cl.o $(B)/gpu/kernels.ptx.o $(B)/gpu/dialect.cl.o
# All but the two main files, for core.a: what is linked against it takes what it needs.
CORE_OBJS := $(patsubst %.c,$(B)/%.o,$(filter-out agent/nestord.c agent/nestorctl.c,$(wildcard agent/*.c agent/*/*.c))) $(B)/agent/policy/policy.yaml.o \
	$(PAGE_OBJS) $(GPU_OBJS)
TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(filter-out tests/tools/% tests/fuzz/%,$(wildcard tests/*/*.c)))
TOOLS := $(patsubst tests/tools/%.c,$(B)/tests/tools/%,$(wildcard tests/tools/*.c))

# Programs in tests/cache/programs/choose.bpf.c, an object each.
CHOICES := head ssd long loop global wild type place two

comma := ,
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-8s %s\n' $(1) $(2))

.DELETE_ON_ERROR:
.PHONY: help deps all run check check-quick check-long lint bench demo demo-cache lab lab-stress lab-debug cache-bugs cache-fuzz cache-power debug-kernel module \
	module-units module-install module-uninstall install uninstall fuzz fuzzers fmt clean vmlinux tests

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' Makefile

deps: ## install the packages that building and running take (Debian 12 and 13)
	$(Q).ci/deps build

all: $(B)/nestord $(B)/nestorctl $(B)/libnestor-gpufn.a ## build nestord and nestorctl into build/

run: ## install what is missing, build, start the agent in the foreground (sudo make run)
	$(Q).ci/deps build
	$(Q)$(AS_USER) $(MAKE) --no-print-directory all
	$(Q)exec $(B)/nestord $(ARGS)

check-quick: TESTS_KIND = --quick
check-long: TESTS_KIND = --long
check: ## install what is missing, build, run all tests but long ones (sudo make check)
check-quick: ## tests that boot no VM and take little: 4 minutes
check-long: ## tests that take long, and no other
check check-quick check-long:
	$(Q).ci/deps build check
	$(Q)$(AS_USER) $(MAKE) --no-print-directory -j2 all tests
	$(Q)$(AS_USER) $(MAKE) --no-print-directory -j2 SANITIZE=address,undefined all tests
	$(Q)$(AS_USER) $(MAKE) --no-print-directory -j2 fuzzers
	$(Q)tests/run $(TESTS_KIND) $(TESTS_ONLY)

tests: $(TESTS) $(TOOLS) build/tests/cache/programs/misuse.bpf.o $(CHOICES:%=build/tests/cache/programs/choose-%.bpf.o)

lint: all ## clang-format, clang-tidy, cppcheck, shellcheck
	$(Q)tests/project/lint.sh

bench: ## measure, and store the figures under tests/bench/results/ (sudo make bench)
	$(Q).ci/deps build check bench
	$(Q)$(AS_USER) $(MAKE) --no-print-directory all tests
	$(Q)tests/bench/cost.sh
	$(Q)tests/bench/cost.sh --vm
	$(Q)tests/bench/iops.sh
	$(Q)tests/bench/iops.sh --vm
	$(Q)tests/bench/cachehits.sh
	$(Q)tests/bench/cachestream.sh
	$(Q)tests/bench/scrape.sh
	$(Q)tests/bench/memory.sh
	$(Q)tests/bench/net.sh
	$(Q)tests/bench/gpufn.sh
	$(Q)tests/bench/profiles.sh
	$(Q)tests/bench/pcache.sh
	$(Q)tests/bench/cache.sh
	$(Q)tests/bench/gpu.sh
	$(Q)tests/bench/dedup.sh

demo: lab ## two KVM guests with two containers each, all at work, below a host whose page is reachable (on PORT)

demo-cache: ## containers that share a second-level cache, 60:40, 50:30:20, then one on the SSD, a minute each (on PORT)
	$(Q).ci/deps build check
	$(Q)$(AS_USER) $(MAKE) --no-print-directory all tests
	$(Q)exec $(AS_USER) tests/demo $(if $(PORT),--port $(PORT)) shares

lab: ## boot a host VM with KVM guests inside, and give a prompt (LAB=FILE describes another one)
	$(Q).ci/deps build check
	$(Q)$(AS_USER) $(MAKE) --no-print-directory all tests
	$(Q)exec $(AS_USER) env LAB_PAGE=$(PORT) tests/lab/lab $(LAB)

lab-stress: ## start and stop a lab 20 times, and kill 10 at random points
	$(Q).ci/deps build check
	$(Q)$(AS_USER) $(MAKE) --no-print-directory all tests
	$(Q)exec $(AS_USER) tests/lab/stress

lab-debug: ## a lab whose machines, guests too, all run the debug kernel, and look for leaks at their end (15 minutes)
	$(Q).ci/deps build check
	$(Q)$(AS_USER) $(MAKE) --no-print-directory all tests
	$(Q)exec $(AS_USER) env KERNEL=debug LAB=tests/lab/debug.lab LAB_TIMEOUT=3000 tests/lab/stress 1 0

cache-bugs: ## the module with one of eight bugs at a time: each time a file has to be found wrong (10 minutes)
	$(Q).ci/deps build check
	$(Q)$(AS_USER) $(MAKE) --no-print-directory all tests
	$(Q)exec $(AS_USER) tests/cache/planted_bugs.sh --vm

cache-fuzz: ## files over the cache against copies of them: 10^7 operations, over SEEDS (90) seeds, 5 minutes each
	$(Q).ci/deps build check
	$(Q)$(AS_USER) $(MAKE) --no-print-directory all tests
	$(Q)for seed in $$(seq $(or $(SEEDS),90)); do \
		KERNEL=6.12 SEED=$$seed tests/cache/coherence.sh > build/cache-fuzz.log || { cat build/cache-fuzz.log; exit 1; }; \
		grep '^# .* pages came' build/cache-fuzz.log | sed "s/^#/seed $$seed:/"; \
	done

cache-power: ## power cuts under the cache, at POINTS (1000) points with two states each (15 minutes)
	$(Q).ci/deps build check
	$(Q)$(AS_USER) $(MAKE) --no-print-directory all tests
	$(Q)exec $(AS_USER) env POINTS=$(or $(POINTS),1000) VERSIONS=600 TIMEOUT=3000 tests/cache/power_cuts.sh

debug-kernel: ## build the kernel with KASAN, lockdep and kmemleak from Debian's source (20 minutes)
	$(Q).ci/deps build check kernel
	$(Q)exec $(AS_USER) tests/vm/debug-kernel

fuzz: ## fuzz for FUZZ_SECONDS (600) or FUZZ_RUNS each; figures go to tests/bench/results/
	$(Q).ci/deps build check
	$(Q)$(AS_USER) $(MAKE) --no-print-directory -j2 fuzzers
	$(Q)tests/fuzz/long $(FUZZ_ONLY)

fmt: ## format all C files
	$(Q)clang-format -i $(C_FILES)

clean: ## remove what was built, but not cached kernels
	$(Q)find build -mindepth 1 -maxdepth 1 ! -name vm -exec rm -rf {} + 2>/dev/null || true

C_FILES = $(shell git ls-files '*.[ch]' | grep -v '^vmlinux.h$$')

# ---- agent ----

$(B)/nestord: $(B)/agent/nestord.o $(B)/core.a
$(B)/nestorctl: $(B)/agent/nestorctl.o $(B)/core.a
$(B)/core.a: $(CORE_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rc $@ $^
# For programs that call GPU functions.
$(B)/libnestor-gpufn.a: $(B)/agent/gpufn/client.o
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rc $@ $^

$(B)/nestord $(B)/nestorctl:
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(LDLIBS)

# Only the client has a screen, and makes devices.
$(B)/nestorctl $(TESTS) $(TOOLS): LDLIBS += -lncursesw -ltinfo -ldevmapper

$(B)/%.o: %.c Makefile | $(SKELETONS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Linked in as it is: one file to ship, nothing to find at run time.
define embed
	$(call say,EMBED,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(LD) -r -z noexecstack -b binary -o $@ $<
endef
$(B)/%.yaml.o: %.yaml
	$(embed)

# ---- gpu ----

# All end with a zero byte: they are strings.
build/gpu/kernels.cl: $(GPU_SOURCES)
build/gpu/dialect.cl: gpu/dialect.clh
build/gpu/kernels.cl build/gpu/dialect.cl:
	$(Q)mkdir -p $(@D)
	$(Q)(cat $^ && printf '\0') > $@
build/gpu/kernels.ptx: $(GPU_SOURCES) Makefile
	$(call say,PTX,$@)
	$(Q)mkdir -p $(@D)
	$(Q)cat $(GPU_SOURCES) | $(CLANG) -x cl -cl-std=CL1.2 --target=nvptx64-nvidia-cuda -Xclang -finclude-default-header \
		-Xclang -target-cpu -Xclang $(GPU_ARCH) -O2 -Wall -Werror -S -o $@.tmp -
	$(Q)(cat $@.tmp && printf '\0') > $@ && rm $@.tmp
$(B)/gpu/kernels.%.o: build/gpu/kernels.%
	$(embed)
$(B)/gpu/dialect.cl.o: build/gpu/dialect.cl
	$(embed)

# In place of NVIDIA's library, for tests
$(B)/tests/gpu/stub/libcuda.so.1: tests/gpu/stub/cuda.c tests/gpu/stub/cuda.h gpu/cuda_api.h $(GPU_SOURCES) Makefile
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -fPIE,$(CFLAGS)) -fPIC -shared -o $@ $<
$(B)/tests/gpu/gpu: | $(B)/tests/gpu/stub/libcuda.so.1

# ---- bpf ----

# Of what the compiler tells a debugger just the BTF is kept: the rest would be most of the agent.
define compile_bpf
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $(@:.o=.full.o) $<
	$(Q)$(BPFTOOL) gen object $@ $(@:.o=.full.o)
endef
build/%.bpf.o: %.bpf.c vmlinux.h Makefile
	$(compile_bpf)
$(CHOICES:%=build/tests/cache/programs/choose-%.bpf.o): build/tests/cache/programs/choose-%.bpf.o: tests/cache/programs/choose.bpf.c vmlinux.h Makefile
	$(compile_bpf)
build/tests/cache/programs/choose-%.bpf.o: BPF_CFLAGS += -DCHOOSE_$*

build/%.skel.h: build/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf > $@

vmlinux: ## write vmlinux.h anew from the BTF in $VMLINUX (a kernel's vmlinux, or Debian's headers' one)
	$(Q)$(BPFTOOL) btf dump file $(or $(VMLINUX),/sys/kernel/btf/vmlinux) format c > vmlinux.h

# ---- tests ----

$(B)/tests/%: $(B)/tests/%.o $(B)/core.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS)

# The module's parts that are no driver, in a process.
CACHE_OBJS := $(patsubst %,$(B)/kfuncs/cache/%.o,blocks index memory pool ssd) $(B)/tests/cache/userspace/kernel.o
CACHE_USERS := $(B)/tests/cache/rules_model $(B)/tests/cache/shares_model $(B)/tests/tools/cacherate
$(CACHE_USERS): $(CACHE_OBJS)
$(CACHE_USERS): LDLIBS += -lxxhash
$(B)/tests/tools/fsfuzz: LDLIBS += -luring
# As the kernel has it.
$(CACHE_OBJS): override CFLAGS += -Wno-unused-parameter -include tests/cache/userspace/kernel.h

# ---- fuzzers ----

# What each is made of, beside its own file.
FUZZED_ctl := lib/buf core/control lib/log lib/loop lib/ipc
FUZZED_httphead := http/head
FUZZED_httproute := lib/buf http/route
FUZZED_jsontext := lib/json_text
FUZZED_metrics := lib/buf base/metrics lib/prom_parse
FUZZED_names := who/container_name who/runtime_records who/systemd_unit
FUZZED_policy := policy/load policy/check policy/data policy/section lib/units lib/yaml_index lib/yaml_load
FUZZED_proc := base/kernel lib/log who/systemd_unit who/vm_name who/vm_proc
FUZZED_promtext := lib/buf lib/prom_parse
FUZZED_records := who/runtime_records
FUZZED_reply := lib/ipc
FUZZED_vmname := who/systemd_unit who/vm_name
FUZZED_yaml := lib/yaml_index

FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
FUZZ_CFLAGS := -std=gnu11 -g -O2 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

fuzzers: $(FUZZERS:%=build/fuzz/%)

$(foreach f,$(FUZZERS),$(eval build/fuzz/$f: build/fuzz/tests/fuzz/$f.o $(FUZZED_$f:%=build/fuzz/agent/%.o) build/fuzz/agent/lib/utf8.o))
build/fuzz/policy: build/agent/policy/policy.yaml.o
build/fuzz/httproute: $(PAGE_OBJS)
# Its records are made up.
build/fuzz/names: LDLIBS += $(patsubst %,-Wl$(comma)--wrap=record_%,docker podman crio containerd runc crun)
$(FUZZERS:%=build/fuzz/%):
	$(call say,FUZZ,$@)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

# Only what is fuzzed guides the fuzzer: what checks it would make it slow, and so would following each comparison. Those
# of strings are followed without it.
build/fuzz/agent/%.o: FUZZ_CFLAGS += -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp
build/fuzz/%.o: %.c Makefile
	$(call say,CLANG,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

# ---- install ----

install: all ## install below PREFIX (/usr/local), into DESTDIR
	install -D -m 755 build/nestord $(DESTDIR)$(PREFIX)/sbin/nestord
	install -D -m 755 build/nestorctl $(DESTDIR)$(PREFIX)/sbin/nestorctl
	install -D -m 644 agent/ctl/nestorctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/nestorctl
	install -D -m 644 agent/man/nestord.8 $(DESTDIR)$(PREFIX)/share/man/man8/nestord.8
	install -D -m 644 agent/man/nestorctl.1 $(DESTDIR)$(PREFIX)/share/man/man1/nestorctl.1
	install -D -m 644 agent/man/nestor-policy.5 $(DESTDIR)$(PREFIX)/share/man/man5/nestor-policy.5
	install -D -m 644 agent/gpufn/nestor-gpufn.7 $(DESTDIR)$(PREFIX)/share/man/man7/nestor-gpufn.7
	install -D -m 644 agent/policy/policy.yaml $(DESTDIR)$(PREFIX)/share/doc/nestor/policy.yaml
	install -d -m 755 $(DESTDIR)$(PREFIX)/share/nestor/grafana $(DESTDIR)$(PREFIX)/share/nestor/prometheus
	install -m 644 dashboards/grafana/*.json $(DESTDIR)$(PREFIX)/share/nestor/grafana
	install -m 644 dashboards/prometheus/*.rules.yml $(DESTDIR)$(PREFIX)/share/nestor/prometheus
	install -D -m 644 agent/dedup/nestord-merge.conf $(DESTDIR)$(PREFIX)/share/nestor/systemd/merge.conf
	install -D -m 644 agent/gpufn/nestord-gpufn.conf $(DESTDIR)$(PREFIX)/share/nestor/systemd/gpufn.conf
	install -d -m 755 $(DESTDIR)$(PREFIX)/share/nestor/functions $(DESTDIR)$(PREFIX)/lib
	install -m 644 gpu/functions/*.yaml gpu/functions/*.cl $(DESTDIR)$(PREFIX)/share/nestor/functions
	install -m 644 $(B)/libnestor-gpufn.a $(DESTDIR)$(PREFIX)/lib
	install -D -m 644 agent/gpufn/client.h $(DESTDIR)$(PREFIX)/include/nestor/gpufn_client.h
	install -D -m 644 bpf/cache_choose.h $(DESTDIR)$(PREFIX)/share/nestor/include/bpf/cache_choose.h
	install -D -m 644 kfuncs/cache.h $(DESTDIR)$(PREFIX)/share/nestor/include/kfuncs/cache.h
	install -d -m 755 $(DESTDIR)/etc/nestor/policy.d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d
	sed 's|/@PREFIX@|$(PREFIX)|' agent/systemd/nestord.service | \
		install -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/nestord.service
	install -m 644 agent/systemd/nestord.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/nestord.socket
	install -m 644 agent/systemd/nestor.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/nestor.conf
	$(if $(DESTDIR),,-systemd-sysusers $(PREFIX)/lib/sysusers.d/nestor.conf)

uninstall: ## remove what install put there, and the pinned counters; /etc/nestor stays
	$(if $(DESTDIR),,-$(PREFIX)/sbin/nestorctl reset)
	cd $(DESTDIR)$(PREFIX) && rm -f sbin/nestord sbin/nestorctl share/man/man8/nestord.8 share/man/man1/nestorctl.1 \
		share/man/man5/nestor-policy.5 lib/systemd/system/nestord.service lib/systemd/system/nestord.socket \
		lib/sysusers.d/nestor.conf share/doc/nestor/policy.yaml share/bash-completion/completions/nestorctl \
		share/nestor/grafana/nestor-*.json share/nestor/prometheus/nestor-*.rules.yml \
		share/man/man7/nestor-gpufn.7 lib/libnestor-gpufn.a include/nestor/gpufn_client.h \
		share/nestor/systemd/merge.conf share/nestor/systemd/gpufn.conf share/nestor/include/bpf/cache_choose.h \
		share/nestor/include/kfuncs/cache.h $(addprefix share/nestor/functions/,$(notdir $(wildcard gpu/functions/*)))
	-cd $(DESTDIR)$(PREFIX) && rmdir include/nestor share/nestor/functions
	-cd $(DESTDIR)$(PREFIX)/share && rmdir doc/nestor nestor/grafana nestor/prometheus nestor/systemd nestor/include/* nestor/include nestor

# ---- module ----

# Of the running kernel, or of any other whose headers are there.
KDIR ?= /lib/modules/$(shell uname -r)/build
MODULE_SOURCES = kfuncs/Kbuild $(filter-out %.mod.c,$(wildcard kfuncs/*.[ch] kfuncs/*/*.[ch]))
DKMS_DIR = /usr/src/nestor-$(VERSION)

module: ## build the kernel module into build/module/kfuncs/, for the kernel whose headers are in KDIR
	$(Q)test -e $(KDIR)/Makefile || { echo "There are no headers in $(KDIR): install linux-headers-$$(uname -r)" >&2; exit 1; }
	$(Q)mkdir -p build/module && cp -pu --parents $(MODULE_SOURCES) build/module/
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR)/build/module/kfuncs NESTOR_VERSION=$(VERSION) modules

module-units:
	echo nestor | install -D -m 644 /dev/stdin $(DESTDIR)/etc/modules-load.d/nestor.conf
	install -D -m 644 kfuncs/cache/nestord-cache.conf $(DESTDIR)$(PREFIX)/lib/systemd/system/nestord.service.d/nestor-cache.conf
	sed 's|/@PREFIX@|$(PREFIX)|' kfuncs/cache/nestor-cache@.service | \
		install -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/nestor-cache@.service

module-install: module-units ## give the module to DKMS, which builds it for each kernel, and install its units (needs the package dkms)
	$(Q)command -v dkms > /dev/null || { echo "dkms is missing: install the package dkms" >&2; exit 1; }
	install -d -m 755 $(DKMS_DIR)
	for file in $(MODULE_SOURCES); do install -D -m 644 $$file $(DKMS_DIR)/$$file; done
	sed 's/@VERSION@/$(VERSION)/' kfuncs/dkms.conf | install -m 644 /dev/stdin $(DKMS_DIR)/dkms.conf
	dkms install nestor/$(VERSION)

module-uninstall: ## take it away again
	-dkms remove nestor/$(VERSION) --all
	rm -rf $(DKMS_DIR)
	rm -f /etc/modules-load.d/nestor.conf $(PREFIX)/lib/systemd/system/nestor-cache@.service \
		$(PREFIX)/lib/systemd/system/nestord.service.d/nestor-cache.conf

-include $(shell find build -path build/vm -prune -o -name '*.d' -print 2>/dev/null)
.SECONDARY:
