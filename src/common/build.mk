# SPDX-License-Identifier: GPL-2.0-or-later
# What every program shares; knows nothing of USM beyond its paths.

COMMON_SOURCES	:= $(wildcard src/common/*.c)
COMMON_PKGS	:= libcjson libsystemd

$(eval $(call usm_room,src/common,,$(COMMON_PKGS)))
$(eval $(call usm_archive,src/common,$(COMMON_SOURCES)))
