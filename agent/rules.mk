# SPDX-License-Identifier: GPL-2.0
# The agent, its client, and the archive that both and all tests are linked from: each takes what it needs.

MAINS := agent/nestord.c agent/nestorctl.c agent/generate.c
CORE_OBJS := $(patsubst %.c,$(B)/%.o,$(filter-out $(MAINS),$(wildcard agent/*.c agent/*/*.c))) $(B)/revision.o $(PAGE_OBJS) $(GPU_OBJS)

define archive
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rc $@ $(filter %.o,$^)
endef
define link
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS)
endef
# Linked in as it is: one file to ship, nothing to find at run time.
define embed
	$(call say,EMBED,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(LD) -r -z noexecstack -b binary -o $@ $<
endef

$(B)/nestord $(B)/nestorctl: $(B)/%: $(B)/agent/%.o $(B)/core.a
	$(link)
# The list, as a file that has gone leaves no other trace.
$(B)/core.a: $(CORE_OBJS) $(B)/core.list
	$(archive)
$(B)/core.list: FORCE
	$(call stamp,$(CORE_OBJS))
# What is made of the keys that policies may have.
$(B)/agent/generate: $(B)/agent/generate.o $(B)/core.a
	$(link)
$(B)/policy.yaml: $(B)/agent/generate
	$(call say,MAKE,$@)
	$(Q)$< yaml > $@
$(B)/man/nestor-policy.5: $(B)/agent/generate agent/man/nestor-policy.5
	$(call say,MAKE,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$^ > $@
# For programs that call GPU functions.
$(B)/libnestor-gpufn.a: $(B)/agent/gpufn/client.o
	$(archive)

$(B)/%.o: %.c $(B)/flags | $(SKELETONS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(B)/flags: FORCE
	$(call stamp,$(CC) $(CPPFLAGS) $(CFLAGS))

# Where git does not answer, as in an archive or for another user, what is there stays.
build/revision.c: FORCE
	$(call stamp,$(or $(call revision,$(shell git describe --always --dirty 2>/dev/null)),$(shell cat $@ 2>/dev/null),$(call revision,unknown)))
revision = $(if $(1),const char nestor_version[] = "$(VERSION)"$(comma) nestor_revision[] = "$(1)";)
comma := ,
$(B)/revision.o: build/revision.c $(B)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
