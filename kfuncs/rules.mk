# SPDX-License-Identifier: GPL-2.0
# The kernel module: of the running kernel, or of any other whose headers are there.

KDIR ?= /lib/modules/$(shell uname -r)/build
MODULE_SOURCES = kfuncs/Kbuild $(filter-out %.mod.c,$(wildcard kfuncs/*.[ch] kfuncs/*/*.[ch]))
DKMS_DIR = /usr/src/nestor-$(VERSION)

.PHONY: module module-units module-install module-uninstall

module: ## build the kernel module into build/module/kfuncs/, for the kernel whose headers are in KDIR
	$(Q)test -e $(KDIR)/Makefile || { echo "There are no headers in $(KDIR): install linux-headers-$$(uname -r)" >&2; exit 1; }
	$(Q)mkdir -p build/module && cp -pu --parents $(MODULE_SOURCES) build/module/
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR)/build/module/kfuncs NESTOR_VERSION=$(VERSION) modules

module-units:
	agent/install.sh install module "$(PREFIX)" "$(DESTDIR)"

module-install: module-units ## give the module to DKMS, which builds it for each kernel, and install its units (needs the package dkms)
	$(Q)command -v dkms > /dev/null || { echo "dkms is missing: install the package dkms" >&2; exit 1; }
	install -d -m 755 $(DKMS_DIR)
	for file in $(MODULE_SOURCES); do install -D -m 644 $$file $(DKMS_DIR)/$$file; done
	sed 's/@VERSION@/$(VERSION)/' kfuncs/dkms.conf | install -m 644 /dev/stdin $(DKMS_DIR)/dkms.conf
	dkms install nestor/$(VERSION)

module-uninstall: ## take it away again
	-dkms remove nestor/$(VERSION) --all
	rm -rf $(DKMS_DIR)
	agent/install.sh uninstall module "$(PREFIX)" "$(DESTDIR)"
