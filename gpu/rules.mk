# SPDX-License-Identifier: GPL-2.0
# Kernels for GPUs, in one program: as source for OpenCL, and compiled for NVIDIA's.

# The oldest of NVIDIA's architectures that is supported; drivers compile it for newer ones.
GPU_ARCH := sm_70
GPU_SOURCES := gpu/dialect.clh $(wildcard gpu/kernels/*.cl)
GPU_TEXTS := $(addprefix $(B)/gpu/,kernels.cl.o kernels.ptx.o dialect.cl.o)
GPU_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard gpu/*.c gpu/*/*.c)) $(GPU_TEXTS)

# All end with a zero byte: they are strings.
build/gpu/kernels.cl: $(GPU_SOURCES)
build/gpu/dialect.cl: gpu/dialect.clh
build/gpu/kernels.cl build/gpu/dialect.cl:
	$(Q)mkdir -p $(@D)
	$(Q)(cat $^ && printf '\0') > $@

PTX_FLAGS := -x cl -cl-std=CL1.2 --target=nvptx64-nvidia-cuda -Xclang -finclude-default-header -Xclang -target-cpu \
	-Xclang $(GPU_ARCH) -O2 -Wall -Werror
build/gpu/kernels.ptx: $(GPU_SOURCES) build/gpu/flags
	$(call say,PTX,$@)
	$(Q)cat $(GPU_SOURCES) | $(CLANG) $(PTX_FLAGS) -S -o $@.tmp -
	$(Q)(cat $@.tmp && printf '\0') > $@ && rm $@.tmp
build/gpu/flags: FORCE
	$(call stamp,$(CLANG) $(PTX_FLAGS))

$(GPU_TEXTS): $(B)/gpu/%.o: build/gpu/%
	$(embed)
