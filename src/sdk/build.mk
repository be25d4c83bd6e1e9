# SPDX-License-Identifier: GPL-2.0-or-later
# Headers only: what a policy is built against, here and out of the tree.

INSTALL_FILES	+= src/sdk/usm/policy.h:$(includedir)/usm/policy.h:644
