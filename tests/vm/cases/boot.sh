#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 60
#
# The packages alone bring the module at boot; its device is closed to everybody
# but root of the initial user namespace; it goes and comes back by either name.
. "${VMTEST:?}/lib.sh"

open() { "$@" /bin/sh -c ': <>/dev/usm' 2>/dev/null; }

# By modules-load.d, before any case.
assert_ok test -d /sys/module/usm
case $(modinfo -F filename usm) in
"/lib/modules/$(uname -r)/updates/dkms/usm.ko"*) ;;
*) fail "the module is not DKMS's: $(modinfo -F filename usm)" ;;
esac
assert_match 'aliases' "$(modinfo -F alias usm)" '^usm_lkmRM$'

wait_for 10 test -c /dev/usm
wait_for 10 udevadm settle
assert_eq 'mode and owner of /dev/usm' "$(stat -c '%a %U:%G' /dev/usm)" '600 root:root'

assert_ok open env
assert_fails open setpriv --reuid nobody --regid nogroup --clear-groups
# Mode bits are not all: root without the capability, and root of a user
# namespace with all of them.
assert_fails open setpriv --bounding-set -sys_admin --inh-caps -sys_admin
assert_fails open unshare --user --map-root-user

# usmd would hold the device, and comes back with it.
systemctl stop usmd.service 2>/dev/null || :
assert_ok modprobe -r usm
assert_fails test -e /sys/module/usm
wait_for 5 test ! -e /dev/usm
assert_ok modprobe usm_lkmRM
assert_ok test -d /sys/module/usm
wait_for 10 test -c /dev/usm
wait_for 10 udevadm settle
assert_eq 'mode and owner of /dev/usm' "$(stat -c '%a %U:%G' /dev/usm)" '600 root:root'
pass
