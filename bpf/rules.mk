# SPDX-License-Identifier: GPL-2.0
# BPF objects, and skeletons of them for the agent.

BPF_CFLAGS := -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(ARCH) -iquote . -Wall -Wextra -Werror -Wno-unused-parameter
SKELETONS := $(patsubst %.bpf.c,build/%.skel.h,$(wildcard bpf/*/*.bpf.c))

.PHONY: vmlinux

# Of what the compiler tells a debugger just the BTF is kept: the rest would be most of the agent.
define compile_bpf
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $(@:.o=.full.o) $<
	$(Q)$(BPFTOOL) gen object $@ $(@:.o=.full.o)
endef
build/%.bpf.o: %.bpf.c vmlinux.h build/bpf/flags
	$(compile_bpf)

build/bpf/flags: FORCE
	$(call stamp,$(CLANG) $(BPF_CFLAGS))

build/%.skel.h: build/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf > $@

vmlinux: ## write vmlinux.h anew from the BTF in $VMLINUX (a kernel's vmlinux, or Debian's headers' one)
	$(Q)$(BPFTOOL) btf dump file $(or $(VMLINUX),/sys/kernel/btf/vmlinux) format c > vmlinux.h
