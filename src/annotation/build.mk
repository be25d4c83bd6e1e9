# SPDX-License-Identifier: GPL-2.0-or-later
# The annotation, read by usmd and, offline, by usmctl.

$(eval $(call usm_room,src/annotation,-Isrc/common,libcjson))
$(eval $(call usm_archive,src/annotation,$(wildcard src/annotation/*.c)))
