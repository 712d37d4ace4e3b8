# SPDX-License-Identifier: GPL-2.0
# Tests in C, their tools, fuzzers, and what boots machines or takes long.

TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(filter-out tests/tools/% tests/fuzz/%,$(wildcard tests/*/*.c)))
TOOLS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/tools/*.c))
# Programs in tests/cache/programs/choose.bpf.c, an object each.
CHOICES := $(addprefix build/tests/cache/programs/choose-,$(addsuffix .bpf.o,head ssd long loop global wild type place two))

.PHONY: tests fuzzers fuzz demo demo-cache lab lab-stress lab-debug cache-bugs cache-fuzz cache-power debug-kernel

tests: $(TESTS) $(TOOLS) build/tests/cache/programs/misuse.bpf.o $(CHOICES)

$(B)/tests/%: $(B)/tests/%.o $(B)/core.a
	$(link)

$(CHOICES): build/tests/cache/programs/choose-%.bpf.o: tests/cache/programs/choose.bpf.c vmlinux.h build/bpf/flags
	$(compile_bpf)
$(CHOICES): private BPF_CFLAGS += -DCHOOSE_$(patsubst choose-%.bpf.o,%,$(@F))

# The module's parts that are no driver, in a process.
CACHE_OBJS := $(patsubst %,$(B)/kfuncs/cache/%.o,blocks index memory pool ssd) $(B)/tests/cache/userspace/kernel.o
CACHE_USERS := $(patsubst %,$(B)/tests/cache/%_model,outage rules shares) $(B)/tests/tools/cacherate
$(CACHE_USERS): $(CACHE_OBJS)
$(CACHE_USERS): LDLIBS += -lxxhash
$(B)/tests/tools/fsfuzz $(B)/tests/tools/poison: LDLIBS += -luring
# Fails where the test has it fail.
$(B)/tests/steer/put_back: LDLIBS += $(patsubst %,-Wl$(comma)--wrap=%,cgroup_file_write disk_find cgroup_journal_append cgroup_journal_save)
$(B)/tests/tools/takeover: LDLIBS += -lseccomp
# As the kernel has it. private: the stamp of the flags, which they depend on, is of those that all have.
$(CACHE_OBJS): private override CFLAGS += -Wno-unused-parameter -include tests/cache/userspace/kernel.h

# In place of NVIDIA's library
$(B)/tests/gpu/stub/libcuda.so.1: tests/gpu/stub/cuda.c tests/gpu/stub/cuda.h gpu/cuda_api.h $(GPU_SOURCES) $(B)/flags
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -fPIE,$(CFLAGS)) -fPIC -shared -o $@ $<
$(B)/tests/gpu/gpu: | $(B)/tests/gpu/stub/libcuda.so.1

# ---- fuzzers: what they may reach is built for them; what that needs besides is as in the agent ----

FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/*.c))
FUZZED := $(filter-out $(MAINS),$(wildcard agent/*.c $(patsubst %,agent/%/*.c,lib base policy who http core) agent/*/policy.c) agent/gpufn/owed.c)
FUZZED_OBJS := $(FUZZED:%.c=build/fuzz/%.o)
FUZZ_CFLAGS := -std=gnu11 -g -O2 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

fuzzers: $(FUZZERS)

# Its records are made up.
build/fuzz/names: LDLIBS += $(patsubst %,-Wl$(comma)--wrap=runtime_record_%,docker podman crio containerd runc crun)
$(FUZZERS): build/fuzz/%: build/fuzz/tests/fuzz/%.o build/fuzz/fuzzed.a build/core.a
	$(call say,FUZZ,$@)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer -Wl,--as-needed -o $@ $^ $(LDLIBS)
build/fuzz/fuzzed.a: $(FUZZED_OBJS) build/fuzz/fuzzed.list
	$(archive)
build/fuzz/fuzzed.list: FORCE
	$(call stamp,$(FUZZED_OBJS))

# Only what is fuzzed guides the fuzzer: what checks it would make it slow, and so would following each comparison. Those
# of strings are followed without it.
build/fuzz/agent/%.o: private FUZZ_CFLAGS += -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp
build/fuzz/%.o: %.c build/fuzz/flags | $(SKELETONS)
	$(call say,CLANG,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<
build/fuzz/flags: FORCE
	$(call stamp,$(CLANG) $(CPPFLAGS) $(FUZZ_CFLAGS))

fuzz: ## fuzz for FUZZ_SECONDS (600) or FUZZ_RUNS each; figures go to tests/bench/results/
	$(DEPS)
	$(BUILD) fuzzers
	$(Q)tests/fuzz/long $(FUZZ_ONLY)

# ---- machines ----

demo: lab ## two KVM guests with two containers each, all at work, below a host whose page is reachable (on PORT)

demo-cache lab lab-stress lab-debug cache-bugs cache-fuzz cache-power:
	$(DEPS)
	$(BUILD) all tests
	$(Q)exec $(AS_USER) $(command)

demo-cache: ## containers that share a second-level cache, 60:40, 50:30:20, then one on the SSD, a minute each (on PORT)
demo-cache: command = tests/demo $(if $(PORT),--port $(PORT)) shares

lab: ## boot a host VM with KVM guests inside, and give a prompt (LAB=FILE describes another one)
lab: command = env LAB_PAGE=$(PORT) tests/lab/lab $(LAB)

lab-stress: ## start and stop a lab 20 times, and kill 10 at random points
lab-stress: command = tests/lab/stress

lab-debug: ## a lab whose machines, guests too, all run the debug kernel, and look for leaks at their end (15 minutes)
lab-debug: command = env KERNEL=debug LAB=tests/lab/debug.lab LAB_TIMEOUT=3000 tests/lab/stress 1 0

cache-bugs: ## the module with one of eight bugs at a time: each time a file has to be found wrong (10 minutes)
cache-bugs: command = tests/cache/planted_bugs.sh --vm

cache-fuzz: ## files over the cache against copies of them: 10^7 operations, over SEEDS (90) seeds, 5 minutes each
cache-fuzz: command = sh -c 'for seed in $$(seq $(or $(SEEDS),90)); do \
	KERNEL=6.12 SEED=$$seed tests/cache/coherence.sh > build/cache-fuzz.log || { cat build/cache-fuzz.log; exit 1; }; \
	grep "^. .* pages came" build/cache-fuzz.log | sed "s/^./seed $$seed:/"; done'

cache-power: ## power cuts under the cache, at POINTS (1000) points with two states each (15 minutes)
cache-power: command = env POINTS=$(or $(POINTS),1000) VERSIONS=600 TIMEOUT=3000 tests/cache/power_cuts.sh

debug-kernel: ## build the kernel with KASAN, lockdep and kmemleak from Debian's source (20 minutes)
	$(Q).ci/deps build check kernel
	$(Q)exec $(AS_USER) tests/vm/debug-kernel
