# SPDX-License-Identifier: GPL-2.0-or-later
# usmd. USMD_SOURCES is all but main.c and cgroup.c, which needs a host with the
# unified hierarchy: tests link the rest by itself.

USMD_PKGS	:= libsystemd libcjson libcgroup
USMD_INCLUDES	:= $(DEVICE_INCLUDES) -Isrc/usmd -Isrc/common -Isrc/annotation
USMD_SOURCES	:= $(filter-out src/usmd/main.c src/usmd/cgroup.c,$(wildcard src/usmd/*.c))

$(eval $(call usm_room,src/usmd,$(USMD_INCLUDES),$(USMD_PKGS)))
$(eval $(call usm_archive,src/usmd,$(USMD_SOURCES)))

$(eval $(call usm_program,$(O)/usmd,$(O)/src/usmd/main.o $(O)/src/usmd/cgroup.o \
	$(O)/src/usmd.a $(O)/src/device.a $(O)/src/annotation.a $(O)/src/common.a,$(USMD_PKGS)))

PROGRAMS	+= $(O)/usmd
INSTALL_FILES	+= $(O)/usmd:$(sbindir)/usmd:755
