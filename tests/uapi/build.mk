# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that talk to /dev/usm straight on the uapi header; they run in a VM.

UAPI_DIR	:= tests/uapi
UAPI_FLAGS	:= -D_FILE_OFFSET_BITS=64
UAPI_INCLUDES	:= -Idkms/include/uapi
UAPI_TEST_OBJS	:= uapitest.o test_device.o test_port.o test_command.o test_supply.o test_evict.o \
		   test_store.o test_sample.o test_upcall.o test_nested.o layout.o domain.o

$(eval $(call usm_room,$(UAPI_DIR),$(UAPI_INCLUDES),,$(UAPI_FLAGS)))
$(eval $(call usm_program,$(O)/$(UAPI_DIR)/miniinst,\
	$(addprefix $(O)/$(UAPI_DIR)/,miniinst.o feeder.o evictor.o domain.o)))
$(eval $(call usm_program,$(O)/$(UAPI_DIR)/many,\
	$(addprefix $(O)/$(UAPI_DIR)/,many.o feeder.o domain.o)))
$(eval $(call usm_program,$(O)/$(UAPI_DIR)/trycalls,\
	$(addprefix $(O)/$(UAPI_DIR)/,trycalls.o domain.o)))
$(eval $(call usm_program,$(O)/$(UAPI_DIR)/uapitest,\
	$(addprefix $(O)/$(UAPI_DIR)/,$(UAPI_TEST_OBJS))))
$(eval $(call usm_program,$(O)/$(UAPI_DIR)/hostile,\
	$(addprefix $(O)/$(UAPI_DIR)/,hostile.o attack.o attack_command.o domain.o),,-pthread))
$(eval $(call usm_program,$(O)/$(UAPI_DIR)/strike,$(addprefix $(O)/$(UAPI_DIR)/,strike.o domain.o)))

# The contract is one for both: the same tests through the compat entry.
$(O)/$(UAPI_DIR)/m32/%.o: $(UAPI_DIR)/%.c
	@$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -m32 $(CFLAGS_COMMON) $(UAPI_INCLUDES) $(UAPI_FLAGS) -MMD -MP -c -o $@ $<

$(O)/$(UAPI_DIR)/uapitest.32: $(addprefix $(O)/$(UAPI_DIR)/m32/,$(UAPI_TEST_OBJS))
	@$(say) LD $@
	$(Q)$(CC) -m32 -static -o $@ $^

VM_PROGRAMS += $(addprefix $(O)/$(UAPI_DIR)/,hostile many miniinst strike trycalls uapitest \
	uapitest.32)
