#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 500
# full-timeout: 1200
#
# The compiler under random eviction, on files of the module's own source with the running
# kernel's headers: the objects are the same as on stock memory, byte for byte. Files that
# need to know nothing of the kernel's release: to find that out is to compile seventeen
# probes, several times what is wanted.
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

both 6000 <<'END'
cd /data
cp -r /usr/src/usm-*/dkms module
make -s -C "/usr/src/linux-headers-$(uname -r)" M=/data/module KBUILD_MODPOST_WARN=1 \
	usm-capabilities= vault.o domain.o store.o
sha256sum module/vault.o module/domain.o module/store.o
END
pass
