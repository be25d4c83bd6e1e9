# SPDX-License-Identifier: GPL-2.0-or-later
$(eval $(call usm_policy,clock,-Isrc/sdk))
