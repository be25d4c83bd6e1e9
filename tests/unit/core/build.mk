# SPDX-License-Identifier: GPL-2.0-or-later
# What of the module is pure is tested here like everything else.

$(eval $(call usm_room,tests/unit/core,-Idkms/core -Itests/unit,check))
$(eval $(call usm_unit_test,test-core,$(O)/san/tests/unit/core/test_core.o,check))
