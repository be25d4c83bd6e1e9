# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of usmd and of the user side of the uapi. Fake trees and sockets in a
# temporary directory take the place of the host's: none of them needs root.

UNIT_USMD	:= $(addprefix $(O)/san/src/,usmd.a device.a annotation.a common.a)
UNIT_USMD_PKGS	:= check libcjson libsystemd

$(eval $(call usm_room,tests/unit/usmd,$(USMD_INCLUDES) -Itests/unit,$(UNIT_USMD_PKGS)))

define usm_usmd_test
$(call usm_unit_test,test-usmd-$(1),$(O)/san/tests/unit/usmd/test_$(1).o $(O)/san/tests/unit/usmd/scratch.o $(UNIT_USMD),$(UNIT_USMD_PKGS))
endef
USMD_TESTS	:= $(patsubst test_%.c,%,$(notdir $(wildcard tests/unit/usmd/test_*.c)))
$(foreach test,$(USMD_TESTS),$(eval $(call usm_usmd_test,$(test))))
