#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400
# full-timeout: 1200
#
# git under random eviction: a history is imported, cloned, packed anew by several threads,
# and looked through for damage. Every object has the name that it has on stock memory.
. "${VMTEST:?}/lib.sh"
. "$PROGRAMS/under-eviction.sh"

both 4000 <<'END'
cd /data
export HOME=/data GIT_CONFIG_NOSYSTEM=1
git config --global pack.threads 3
git config --global safe.directory '*'
git config --global init.defaultBranch main
git init -q --bare history
python3 -P /programs/git-history.py /usr/src/linux-headers-6.1.*-common/include/linux/ 40 |
	git -C history fast-import --quiet
git clone -q --no-local history clone
git -C clone log --format=%H | sha256sum
git -C clone gc -q --prune=now --aggressive
git -C clone fsck --full --strict --no-progress 2>&1
git -C clone rev-list --objects --all --no-object-names | LC_ALL=C sort >objects
wc -l <objects
sha256sum <objects
# All of the content once more, through what was packed.
git -C clone cat-file --batch --batch-all-objects --unordered <objects | wc -c
git -C clone archive HEAD | sha256sum
git -C clone blame -p HEAD -- mm.h | sha256sum
git -C clone diff HEAD~30 HEAD | sha256sum
END
pass
