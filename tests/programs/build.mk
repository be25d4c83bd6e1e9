# SPDX-License-Identifier: GPL-2.0-or-later
# Programs as people run them, in containers whose pages are evicted at random.

REAL_DIR	:= $(O)/vm-programs
REAL_OUT	:= $(O)/tests/programs
# What lib.sh and the cases take from the other guests' programs.
REAL_GUEST	:= $(addprefix $(O)/tests/vm/programs/,member faultcount)
REAL_LOADS	:= $(wildcard tests/programs/load/*)

$(eval $(call usm_room,tests/programs,))
$(eval $(call usm_program,$(REAL_OUT)/allocload,$(REAL_OUT)/allocload.o,,-pthread))

# Static, and of the standard library alone: nothing is fetched.
$(REAL_OUT)/goserver: tests/programs/goserver/main.go
	@$(say) GO $@
	$(Q)mkdir -p $(@D)
	$(Q)CGO_ENABLED=0 GO111MODULE=off GOFLAGS= GOCACHE=$(abspath $(REAL_OUT))/go-cache \
		go build -trimpath -o $@ $<

# Not a part of check: the packages are large, and the kernels those of check-vm.
.PHONY: check-programs
check-programs: $(VM_EXIT) $(DEB_DIR)/.built	## run real programs under random eviction in virtual machines; CASE= KERNEL= as check-vm
	$(Q)packaging/bootstrap/bootstrap vm programs
	$(Q)$(MAKE) $(REAL_OUT)/allocload $(REAL_OUT)/goserver $(RANDOM_POLICY) \
		$(REAL_GUEST)
	$(Q)tests/vm/mkbase $(REAL_DIR) tests/programs/packages
	$(Q)tests/vm/mkimage $(REAL_DIR) $(VM_EXIT) $(DEBS)
	$(Q)tests/vm/run --dir $(REAL_DIR) $(VM_CASE) --cases tests/programs/cases \
		--result $(CHECK_DIR)/programs.result $(VM_EXIT) $(REAL_GUEST) \
		$(RANDOM_POLICY) $(REAL_OUT)/allocload $(REAL_OUT)/goserver $(REAL_LOADS)
