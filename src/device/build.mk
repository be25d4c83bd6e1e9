# SPDX-License-Identifier: GPL-2.0-or-later
#
# The user side of the uapi, for src/usmd and src/instance: DEVICE_INCLUDES and
# DEVICE_ARCHIVE are what they need. No other room may have these flags.

DEVICE_INCLUDES	:= -Isrc/device -Idkms/include/uapi
DEVICE_ARCHIVE	:= src/device.a

$(eval $(call usm_room,src/device,$(DEVICE_INCLUDES)))
$(eval $(call usm_archive,src/device,src/device/device.c src/device/words.c src/device/mapping.c))
