# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that talk to /dev/usm straight on the uapi header; they run in a VM.

$(eval $(call usm_room,tests/uapi,-Idkms/include/uapi))

$(eval $(call usm_program,$(O)/tests/uapi/miniinst,\
	$(addprefix $(O)/tests/uapi/,miniinst.o feeder.o domain.o)))

VM_PROGRAMS += $(O)/tests/uapi/miniinst
