# SPDX-License-Identifier: GPL-2.0-or-later
# The OCI hook. It sees the control protocol, never the device.

HOOK_OBJECTS	:= $(patsubst %.c,$(O)/%.o,$(wildcard src/hook/*.c)) $(O)/src/common.a

$(eval $(call usm_room,src/hook,-Isrc/common,libcjson))
$(eval $(call usm_program,$(O)/usm-oci-hook,$(HOOK_OBJECTS),libcjson libsystemd))

PROGRAMS	+= $(O)/usm-oci-hook
INSTALL_FILES	+= $(O)/usm-oci-hook:$(libexecdir)/usm-oci-hook:755
