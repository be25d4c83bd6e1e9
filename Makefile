# SPDX-License-Identifier: GPL-2.0-or-later
#
# USM - userspace memory management for containers.
#
# The rooms describe themselves: every src/ROOM/build.mk, policies/NAME/build.mk
# and tests/ROOM/build.mk is included here, appends to the lists below and uses
# the macros below. A room is compiled with the -I flags that it passes and no
# others, so an include that is not its to make does not compile.

MAKEFLAGS	+= --no-builtin-rules --no-builtin-variables
SHELL		:= /bin/sh

all:

# ---------------------------------------------------------------- what and where

# The module's folder must do alone, so the one place that holds the version is
# there; lint compares what cannot derive from it.
VERSION		:= $(shell cat dkms/version)

O		?= build
CC		= gcc
AR		= ar
KVER		?= $(shell uname -r)

prefix		?= /usr
bindir		?= $(prefix)/bin
sbindir		?= $(prefix)/sbin
libexecdir	?= $(prefix)/lib/usm
policydir	?= $(libexecdir)/policies
includedir	?= $(prefix)/include
datadir		?= $(prefix)/share
mandir		?= $(datadir)/man
hooksdir	?= $(datadir)/containers/oci/hooks.d
sysconfdir	?= /etc
unitdir		?= $(prefix)/lib/systemd/system
catalogdir	?= $(prefix)/lib/systemd/catalog
sysusersdir	?= $(prefix)/lib/sysusers.d
tmpfilesdir	?= $(prefix)/lib/tmpfiles.d
udevrulesdir	?= $(prefix)/lib/udev/rules.d
DESTDIR		?=

# ------------------------------------------------------------------- how it prints

V		?= 0
ifeq ($(V),1)
Q		:=
say		= :
else
Q		:= @
say		= printf '  %-8s%s\n'
MAKEFLAGS	+= --no-print-directory
endif

# ------------------------------------------------------------------------- flags

CFLAGS_COMMON	:= -std=gnu11 -O2 -g -D_GNU_SOURCE -DUSM_VERSION='"$(VERSION)"' \
		   -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes \
		   -Wshadow -Wvla -Wformat=2 -Wundef -Wno-unused-parameter \
		   -Werror=implicit -Werror=incompatible-pointer-types \
		   -Werror=int-conversion -fstack-protector-strong \
		   -fno-strict-aliasing -fno-common
LDFLAGS_COMMON	:= -Wl,-z,relro,-z,now -Wl,--as-needed

# The environment of dpkg-buildpackage and rpmbuild brings these.
CFLAGS		?=
CPPFLAGS	?=
LDFLAGS		?=

# A finding of a sanitizer is a failed test, never a line that scrolls by.
CFLAGS_SAN	:= -fsanitize=address,undefined -fno-sanitize-recover=all \
		   -fno-omit-frame-pointer -O1

# --------------------------------------------------------------- lists of the rooms

PROGRAMS	:=	# files under $(O) that `all` builds
POLICIES	:=	# $(O)/policies/NAME.so
UNIT_TESTS	:=	# executables that check-unit runs; 0 pass, 77 skip
UNIT_NEEDS	:=	# programs that those run
VM_PROGRAMS	:=	# files under $(O) that VM cases find in $PROGRAMS
MANPAGES	:=	# scdoc sources, src/man/NAME.SECTION.scd
INSTALL_FILES	:=	# FILE:ABSOLUTE-TARGET:MODE
LINT_SCRIPTS	:=	# shell scripts that shellcheck reads, beside those found

# ------------------------------------------------------------------------- macros

# $(eval $(call usm_room,DIR,INCLUDES,PKGS[,MORE]))
# Rules for the objects of DIR: $(O)/DIR/%.o, and $(O)/san/DIR/%.o with the
# sanitizers on for unit tests. INCLUDES are the -I flags that DIR is entitled
# to, PKGS are pkg-config names (asked when a recipe runs, since bootstrap may
# not have run when this file is read), MORE is added to the flags.
define usm_room
$(O)/$(1)/%.o: $(1)/%.c
	@$$(say) CC $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS_COMMON) $(2) $(if $(3),$$$$(pkg-config --cflags $(3))) \
		$(4) $$(CPPFLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<

$(O)/san/$(1)/%.o: $(1)/%.c
	@$$(say) CC-SAN $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS_COMMON) $$(CFLAGS_SAN) $(2) \
		$(if $(3),$$$$(pkg-config --cflags $(3))) $(4) -MMD -MP -c -o $$@ $$<
endef

# $(eval $(call usm_archive,DIR,SOURCES))
# $(O)/DIR.a and $(O)/san/DIR.a from SOURCES, paths below the top.
define usm_archive
$(O)/$(1).a: $(patsubst %.c,$(O)/%.o,$(2))
$(O)/san/$(1).a: $(patsubst %.c,$(O)/san/%.o,$(2))
$(O)/$(1).a $(O)/san/$(1).a:
	@$$(say) AR $$@
	$$(Q)rm -f $$@ && $$(AR) rcsD $$@ $$^
endef

# $(eval $(call usm_program,FILE,OBJECTS and archives,PKGS[,LIBS]))
# Links FILE below $(O); the caller adds it to PROGRAMS or VM_PROGRAMS.
define usm_program
$(1): $(2)
	@$$(say) LD $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS_COMMON) $$(CFLAGS) $$(LDFLAGS_COMMON) $$(LDFLAGS) -pie \
		-o $$@ $(2) $(if $(3),$$$$(pkg-config --libs $(3))) $(4)
endef

# $(eval $(call usm_unit_test,NAME,OBJECTS and archives of $(O)/san,PKGS[,LIBS]))
# $(O)/tests/NAME, linked with the sanitizers, run by check-unit.
define usm_unit_test
UNIT_TESTS += $(O)/tests/$(1)
$(O)/tests/$(1): $(2)
	@$$(say) LD-SAN $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS_COMMON) $$(CFLAGS_SAN) -o $$@ $(2) \
		$(if $(3),$$$$(pkg-config --libs $(3))) $(4)
endef

# $(eval $(call usm_policy,NAME,INCLUDES))
# $(O)/policies/NAME.so from policies/NAME/*.c. -z defs: a policy links to
# nothing of the host, all that it may call arrives in the host's vtable.
define usm_policy
POLICIES += $(O)/policies/$(1).so
INSTALL_FILES += $(O)/policies/$(1).so:$$(policydir)/$(1).so:644
$(O)/policies/$(1).so: $(wildcard policies/$(1)/*.c) $(wildcard policies/$(1)/*.h)
	@$$(say) POLICY $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS_COMMON) $(2) $$(CPPFLAGS) $$(CFLAGS) -fPIC -fvisibility=hidden \
		$$(LDFLAGS_COMMON) $$(LDFLAGS) -shared -Wl,-z,defs -MMD -MP -MF $$(@:.so=.d) \
		-o $$@ $$(filter %.c,$$^)
endef

# ------------------------------------------------------------- packages and tests

DEB_DIR		:= $(O)/deb
DEB_TREE	:= $(DEB_DIR)/usm-$(VERSION)
DEB_ARCH	= $(shell dpkg --print-architecture)
DEBS		= $(DEB_DIR)/usm-dkms_$(VERSION)_all.deb $(DEB_DIR)/usm-daemon_$(VERSION)_$(DEB_ARCH).deb
RPM_DIR		:= $(O)/rpm
CHECK_DIR	:= $(O)/check

# What belongs to the source: what git knows or would add, or all of an unpacked
# release.
SOURCES		= $(sort $(wildcard $(shell git ls-files -co --exclude-standard 2>/dev/null || \
		  find . -path ./$(O) -prune -o -type f -printf '%P ')))

# -------------------------------------------------------------------------- rooms

include $(sort $(wildcard src/*/build.mk policies/*/build.mk tests/*/build.mk tests/*/*/build.mk))

# usmd.8.scd is installed as man8/usmd.8.
man_target	= $(mandir)/man$(subst .,,$(suffix $(basename $(1))))/$(basename $(notdir $(1)))

# Files that have no room of their own to speak for them.
INSTALL_FILES += \
	$(foreach f,$(wildcard systemd/*.service systemd/*.socket systemd/*.slice systemd/*.target),\
		$(f):$(unitdir)/$(notdir $(f)):644) \
	$(foreach f,$(wildcard systemd/*.catalog),$(f):$(catalogdir)/$(notdir $(f)):644) \
	$(foreach f,$(wildcard packaging/sysusers.d/*.conf),$(f):$(sysusersdir)/$(notdir $(f)):644) \
	$(foreach f,$(wildcard packaging/tmpfiles.d/*.conf),$(f):$(tmpfilesdir)/$(notdir $(f)):644) \
	$(foreach f,$(wildcard packaging/udev/*.rules),$(f):$(udevrulesdir)/$(notdir $(f)):644) \
	$(foreach f,$(wildcard packaging/hooks.d/*.json),$(f):$(hooksdir)/$(notdir $(f)):644) \
	$(foreach f,$(wildcard packaging/etc/*.conf),$(f):$(sysconfdir)/usm/$(notdir $(f)):644) \
	$(foreach f,$(MANPAGES),$(O)/man/$(basename $(notdir $(f))):$(call man_target,$(f)):644)

# ------------------------------------------------------------------------ targets

.PHONY: all module install clean help
all: $(PROGRAMS) $(POLICIES) man	## build daemon, instance, tools, policies and manual pages

.PHONY: man
man: $(foreach f,$(MANPAGES),$(O)/man/$(basename $(notdir $(f))))

$(O)/man/%: src/man/%.scd
	@$(say) MAN $@
	$(Q)mkdir -p $(@D)
	$(Q)scdoc < $< > $@.tmp && mv $@.tmp $@

# For development and lint: packages build the module through DKMS. The folder is
# copied, as the package does, so that nothing is ever written into the sources.
module:				## build usm.ko for KVER (default: the running kernel)
	$(Q)mkdir -p $(O)/dkms/$(KVER)
	$(Q)cp -aT dkms $(O)/dkms/$(KVER)
	$(Q)$(MAKE) -C $(O)/dkms/$(KVER) MAKEOVERRIDES= KVER=$(KVER) V=$(V)

# $(call install_entries,FILE:TARGET:MODE...)
define install_entries
	$(Q)set -e; for entry in $(1); do \
		mode=$${entry##*:}; entry=$${entry%:*}; \
		install -D -m "$$mode" "$${entry%%:*}" "$(DESTDIR)$${entry#*:}"; \
	done
endef

.PHONY: install-sdk
install: all			## install below DESTDIR; touches nothing of the running system
	$(call install_entries,$(INSTALL_FILES))

# What one writes a policy with; needs nothing built.
install-sdk:
	$(call install_entries,$(foreach e,$(INSTALL_FILES),$(if $(findstring :$(includedir)/,$(e)),$(e))))

# Packages are built from a copy, below $(O) and so out of the tree; an O= of ours
# is not for the make in there, which would clean that very directory.
.PHONY: deb rpm
deb: $(DEB_DIR)/.built		## build the Debian packages in build/deb/

$(DEB_DIR)/.built: $(SOURCES)
	@$(say) DEB "usm-dkms usm-daemon $(VERSION)"
	$(Q)packaging/bootstrap/bootstrap build
	$(Q)rm -rf $(DEB_DIR) && mkdir -p $(DEB_TREE)
	$(Q)cp --parents -p -t $(DEB_TREE) $(filter-out .ci/% .gitignore,$(SOURCES))
	$(Q)cd $(DEB_TREE) && if ! env -u MAKEFLAGS -u MFLAGS -u O dpkg-buildpackage -us -uc -F >../log 2>&1; then \
		cat ../log; exit 1; fi
	$(Q)touch $@

rpm:				## build the RPM packages in build/rpm/
	@$(say) RPM "usm $(VERSION)"
	$(Q)packaging/bootstrap/bootstrap build rpm
	$(Q)env -u MAKEFLAGS -u MFLAGS -u O rpm/build $(RPM_DIR) $(VERSION) $(SOURCES)

.PHONY: check check-unit check-run check-build lint
check:				## run every test; installs what it needs (as root)
	$(Q)packaging/bootstrap/bootstrap build test vm
	$(Q)$(MAKE) check-run

# What both parts need is built before they run side by side; summary has the last
# word, whatever they say. The unit tests give way: guests have timeouts.
check-run:
	$(Q)rm -rf $(CHECK_DIR)
	$(Q)$(MAKE) -j$$(nproc) check-build || :
	$(Q)nice $(MAKE) check-unit & $(MAKE) check-vm || :; wait
	$(Q)tests/summary $(CHECK_DIR)/unit.result $(CHECK_DIR)/vm.result

check-build: vm-image $(UNIT_TESTS) $(UNIT_NEEDS) $(VM_PROGRAMS)

check-unit: $(UNIT_TESTS) $(UNIT_NEEDS)	## run the unit tests, under the sanitizers
	$(Q)tests/run-unit $(CHECK_DIR)/unit.result $(UNIT_TESTS)

lint: deb man			## read sources, manual pages and packages with a critical eye
	$(Q)packaging/bootstrap/bootstrap lint
	$(Q)tests/lint/run $(O)/man $(DEB_DIR)/usm_$(VERSION)_$(DEB_ARCH).changes $(SOURCES)

clean:				## remove everything that was built, caches too
	$(Q)rm -rf $(O)

help:				## list the targets
	@printf 'USM %s\n\n' '$(VERSION)'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | sort | \
		while IFS='|' read -r target text; do printf '  %-20s%s\n' "$$target" "$$text"; done
	@printf '\n  V=1 shows the commands, O=DIR builds elsewhere than in build/\n'

-include $(shell find $(O)/src $(O)/san $(O)/policies $(O)/tests -name '*.d' 2>/dev/null)
