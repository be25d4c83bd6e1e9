# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that VM cases run: they know nothing of USM and pass on stock memory.

PROG_DIR	:= tests/vm/programs
PROG_OUT	:= $(O)/$(PROG_DIR)
# Offsets of /proc/PID/mem and of pagemap do not fit into 32 bits.
PROG_FLAGS	:= -D_FILE_OFFSET_BITS=64

# ------------------------------------------------------------------------ stress

STRESS_SOURCES	:= $(wildcard $(PROG_DIR)/stress/*.c)
STRESS_OBJECTS	:= $(patsubst %.c,$(O)/%.o,$(STRESS_SOURCES))
STRESS_OBJECTS32 := $(patsubst $(PROG_DIR)/%.c,$(PROG_OUT)/m32/%.o,$(STRESS_SOURCES))

$(eval $(call usm_room,$(PROG_DIR)/stress,,,$(PROG_FLAGS)))
$(eval $(call usm_program,$(PROG_OUT)/stress.dynamic,$(STRESS_OBJECTS),,-pthread))

# A static program maps its thread and TLS areas itself, before any loader could.
$(PROG_OUT)/stress.static: $(STRESS_OBJECTS)
	@$(say) LD $@
	$(Q)$(CC) $(CFLAGS_COMMON) $(CFLAGS) $(LDFLAGS) -static -no-pie -o $@ $^ -pthread

$(PROG_OUT)/m32/%.o: $(PROG_DIR)/%.c
	@$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -m32 $(CFLAGS_COMMON) $(PROG_FLAGS) -MMD -MP -c -o $@ $<

# Static, since guests have no 32-bit libraries.
$(PROG_OUT)/stress.32: $(STRESS_OBJECTS32)
	@$(say) LD $@
	$(Q)$(CC) -m32 -static -o $@ $^ -pthread

# Its own headers, start-up files and libgcc: what is newer than 2.31 is not there.
# Empty where Debian 11 cannot be had, and the case is skipped; tried again each time.
OLDLIBC		:= $(O)/oldlibc/root
OLDLIBC_FLAGS	= --sysroot=$(abspath $(OLDLIBC)) \
		  $(foreach d,gcc/x86_64-linux-gnu/10 x86_64-linux-gnu,\
		  -B$(abspath $(OLDLIBC))/usr/lib/$(d) -L$(abspath $(OLDLIBC))/usr/lib/$(d))
.PHONY: oldlibc-retry
$(PROG_OUT)/stress.old: $(STRESS_SOURCES) tests/vm/mkoldlibc \
		$(if $(wildcard $(O)/oldlibc/made),,oldlibc-retry)
	@$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)if tests/vm/mkoldlibc $(O)/oldlibc; then \
		$(CC) $(OLDLIBC_FLAGS) $(CFLAGS_COMMON) $(PROG_FLAGS) -static -no-pie -o $@ \
			$(STRESS_SOURCES) -pthread; \
	else : >$@; fi

STRESS_PROGRAMS := $(addprefix $(PROG_OUT)/stress.,dynamic static old 32)

VM_PROGRAMS += $(STRESS_PROGRAMS)

# ------------------------------------------------------------------- differences

# It is about both kinds of memory, and the manual page says what it should find.
DIFF_SOURCES	:= $(wildcard $(PROG_DIR)/differences/*.c)

$(eval $(call usm_room,$(PROG_DIR)/differences,,,$(PROG_FLAGS)))
$(eval $(call usm_program,$(PROG_OUT)/differences.dynamic,$(DIFF_SOURCES:%.c=$(O)/%.o)))

$(PROG_OUT)/differences.32: $(DIFF_SOURCES:$(PROG_DIR)/%.c=$(PROG_OUT)/m32/%.o)
	@$(say) LD $@
	$(Q)$(CC) -m32 -static -o $@ $^

VM_PROGRAMS += $(PROG_OUT)/differences.dynamic $(PROG_OUT)/differences.32 src/man/usm.4.scd

# ---------------------------------------------------------------- small programs

PROG_SMALL	:= allocload cachefill faultcount fillmem forkload hotset leakcheck memerror nodeof \
		   oomcheck overfill pssum poison shadowfork

$(eval $(call usm_room,$(PROG_DIR),,,$(PROG_FLAGS)))
$(foreach p,$(PROG_SMALL),$(eval $(call usm_program,$(PROG_OUT)/$(p),\
	$(PROG_OUT)/$(p).o $(PROG_OUT)/util.o,,-pthread)))

$(eval $(call usm_program,$(PROG_OUT)/member,$(PROG_OUT)/member.o,libcjson))

# Without libc and its start-up code: it is about what such code does.
BRKPROBE_FLAGS	:= -nostdlib -static -no-pie -ffreestanding -fno-stack-protector

$(PROG_OUT)/brkprobe $(PROG_OUT)/brkprobe.32: $(PROG_DIR)/brkprobe.c
	@$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(if $(filter %.32,$@),-m32) $(CFLAGS_COMMON) $(BRKPROBE_FLAGS) -o $@ $<

# Static: nothing of a C library that is loaded lies in the memory that it looks at.
$(PROG_OUT)/wordcheck: $(PROG_OUT)/wordcheck.o $(PROG_OUT)/util.o
	@$(say) LD $@
	$(Q)$(CC) $(CFLAGS_COMMON) $(CFLAGS) $(LDFLAGS) -static -no-pie -o $@ $^

VM_PROGRAMS += $(addprefix $(PROG_OUT)/,$(PROG_SMALL) member wordcheck brkprobe brkprobe.32)
