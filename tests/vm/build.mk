# SPDX-License-Identifier: GPL-2.0-or-later

VM_DIR		:= $(O)/vm
NEXT_DIR	:= $(O)/vm-next
DEBUG_DIR	:= $(O)/vm-debug
VM_EXIT		:= $(O)/tests/vm/vm-exit
VM_CASE		= $(if $(CASE),--case '$(CASE)') $(if $(KERNEL),--kernel '$(KERNEL)') \
		  $(if $(FULL),--full) $(if $(SLOWER),--slower $(SLOWER))

# Static: it must end a guest whose disk is gone.
$(VM_EXIT): tests/vm/guest/vm-exit.c
	@$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_COMMON) -static -o $@ $<

# Expanded late, since rooms that are read after this one have programs too.
.SECONDEXPANSION:

.PHONY: vm-image check-vm check-debug-kernel check-next-kernels check-harness demo vm-shell
# The scripts know themselves what is out of date.
vm-image: $(VM_EXIT) $(DEB_DIR)/.built
	$(Q)packaging/bootstrap/bootstrap vm
	$(Q)tests/vm/mkbase $(VM_DIR)
	$(Q)tests/vm/mkimage $(VM_DIR) $(VM_EXIT) $(DEBS)

check-vm: vm-image $$(VM_PROGRAMS)	## run the cases in virtual machines; CASE=glob KERNEL=6.1 select; FULL=1 does all; SLOWER=3 on a busy machine
	$(Q)tests/vm/run --dir $(VM_DIR) $(VM_CASE) --result $(CHECK_DIR)/vm.result \
		$(VM_EXIT) $(sort $(VM_PROGRAMS))

# Emulated, a kernel that checks each access takes several times as long, and an
# eighth of the memory for itself.
check-debug-kernel: $(VM_EXIT) $(DEB_DIR)/.built $$(VM_PROGRAMS)	## run the VM cases on kernels with KASAN, lockdep and kmemleak, built here
	$(Q)packaging/bootstrap/bootstrap vm debug-kernel
	$(Q)tests/vm/mkbase $(VM_DIR)
	$(Q)tests/vm/mkdebug $(DEBUG_DIR) $(VM_DIR) $(KERNEL)
	$(Q)tests/vm/mkimage $(DEBUG_DIR) $(VM_EXIT) $(DEBS)
	$(Q)tests/vm/run --dir $(DEBUG_DIR) --slower 6 --larger 2 $(VM_CASE) \
		--result $(CHECK_DIR)/debug-kernel.result $(VM_EXIT) $(sort $(VM_PROGRAMS))

# Another release's kernels and user space, with the packages that are built here.
check-next-kernels: $(VM_EXIT) $(DEB_DIR)/.built $$(VM_PROGRAMS)	## run the VM cases on the newer kernels of tests/vm/packages-next
	$(Q)packaging/bootstrap/bootstrap vm
	$(Q)tests/vm/mkbase $(NEXT_DIR) tests/vm/packages-next
	$(Q)tests/vm/mkimage $(NEXT_DIR) $(VM_EXIT) $(DEBS)
	$(Q)tests/vm/run --dir $(NEXT_DIR) $(VM_CASE) --result $(CHECK_DIR)/next-kernels.result \
		$(VM_EXIT) $(sort $(VM_PROGRAMS))

check-harness: vm-image $(O)/tests/vm/programs/member	## show that the VM harness fails what must fail
	$(Q)tests/vm/selftest/run $(VM_DIR) $(VM_EXIT) $(O)/tests/vm/programs/member

demo: 				## show redis in a container under a policy, end to end
	$(Q)packaging/bootstrap/bootstrap build vm
	$(Q)$(MAKE) vm-image $(O)/tests/vm/programs/member
	$(Q)tests/vm/run --dir $(VM_DIR) --kernel '$(or $(KERNEL),6.12)' --cases tests/vm/demo \
		--logs demo --show $(VM_EXIT) $(O)/tests/vm/programs/member

vm-shell: vm-image $$(VM_PROGRAMS)	## give a root prompt in a booted guest; KERNEL=6.1 selects
	$(Q)tests/vm/run --shell --dir $(VM_DIR) $(VM_CASE) $(VM_EXIT) $(sort $(VM_PROGRAMS))
