#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The installed header is all that a policy needs: build the example of the manual
# page and the policy in contrib against `make install`, away from the tree, and
# let them have their rehearsal.
set -eu

top=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
build=$(cd "${USM_BUILD:-$top/build}" && pwd)

# Only root's directories are taken for policies.
[ "$(id -u)" = 0 ] || exit 77

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
umask 022
unset MAKEFLAGS MAKELEVEL

# Of the installed files the header is what counts; the rest need not be built.
make -s -C "$top" O="$build" DESTDIR="$tmp/root" install-sdk
cp -r "$top/contrib/policy-example" "$tmp/example"
make -s -C "$tmp/example" CPPFLAGS="-I$tmp/root/usr/include" \
	CFLAGS="-O2 -std=c11 -Wall -Wextra -Werror -Wno-unused-parameter"
make -s -C "$tmp/example" CPPFLAGS="-I$tmp/root/usr/include" DESTDIR="$tmp/root" install

mkdir "$tmp/page"
# The first of its two blocks; the second is how to build it.
awk '/^```$/ { if (inside) exit; inside = 1; next } inside' "$top/src/man/usm-policy.7.scd" >"$tmp/page/lastfit.c"
cc -O2 -std=c11 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -shared -Wl,-z,defs \
	-I"$tmp/root/usr/include" -o "$tmp/root/usr/lib/usm/policies/lastfit.so" "$tmp/page/lastfit.c"

rehearse() { "$build/tests/policy/rehearse" "$tmp/root/usr/lib/usm/policies" "$@"; }
rehearse percpu
rehearse percpu '{"stretch":512}'
rehearse lastfit
rehearse lastfit '{"verbose":true}'
if rehearse lastfit '{"loud":true}' 2>"$tmp/said"; then
	echo "a parameter that the policy does not know was taken" >&2
	exit 1
fi
grep -q 'knows no parameter "loud"' "$tmp/said"
