# SPDX-License-Identifier: GPL-2.0-or-later
# The command line. It sees the control protocol and the annotation, never the device.

USMCTL_OBJECTS	:= $(patsubst %.c,$(O)/%.o,$(wildcard src/usmctl/*.c)) \
		   $(O)/src/annotation.a $(O)/src/common.a

$(eval $(call usm_room,src/usmctl,-Isrc/common -Isrc/annotation,libcjson))
$(eval $(call usm_program,$(O)/usmctl,$(USMCTL_OBJECTS),libcjson libsystemd))

# Debian's place; Fedora's is $(datadir)/zsh/site-functions.
zshcompdir	?= $(datadir)/zsh/vendor-completions

PROGRAMS	+= $(O)/usmctl
INSTALL_FILES	+= $(O)/usmctl:$(bindir)/usmctl:755 \
		   packaging/completions/usmctl.bash:$(datadir)/bash-completion/completions/usmctl:644 \
		   packaging/completions/_usmctl:$(zshcompdir)/_usmctl:644
