#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 500
# full-timeout: 1200
#
# The compiler under random eviction, on a file of the module's own source with the running
# kernel's headers: the object is the same as on stock memory, byte for byte.
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

both 6000 <<'END'
cd /data
cp -r /usr/src/usm-*/dkms module
make -s -C "/usr/src/linux-headers-$(uname -r)" M=/data/module KBUILD_MODPOST_WARN=1 \
	vault.o
sha256sum module/vault.o
END
pass
