# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of usmd and of the user side of the uapi. Fake trees and sockets in a
# temporary directory take the place of the host's: none of them needs root.

UNIT_USMD	:= $(addprefix $(O)/san/src/,usmd.a device.a annotation.a common.a)
UNIT_USMD_PKGS	:= check libcjson libsystemd

$(eval $(call usm_room,tests/unit/usmd,$(USMD_INCLUDES) -Itests/unit,$(UNIT_USMD_PKGS)))
$(foreach test,$(patsubst test_%.c,%,$(notdir $(wildcard tests/unit/usmd/test_*.c))),\
	$(eval $(call usm_unit_test,test-usmd-$(test),$(O)/san/tests/unit/usmd/test_$(test).o \
		$(O)/san/tests/unit/usmd/scratch.o $(UNIT_USMD),$(UNIT_USMD_PKGS))))
