# SPDX-License-Identifier: GPL-2.0-or-later
# usm-instance. INSTANCE_CORE opens nothing by itself: tests link it with a model of the
# module, and with descriptors of their own.

INSTANCE_PKGS	:= libsystemd libcjson libseccomp liblz4
INSTANCE_INCLUDES := $(DEVICE_INCLUDES) -Isrc/common -Isrc/sdk
INSTANCE_CORE	:= $(addprefix src/instance/,answer.c config.c engine.c events.c eviction.c \
			frameset.c growth.c host.c index.c journal.c lane.c lz4.c memstore.c \
			parameters.c ration.c sampler.c slab.c sum.c sum_avx2.c upcall.c vault.c)
INSTANCE_LOADER	:= $(addprefix src/instance/,policy.c rehearsal.c)
INSTANCE_SHELL	:= $(addprefix src/instance/,link.c main.c sandbox.c serve.c stores.c)

$(eval $(call usm_room,src/instance,$(INSTANCE_INCLUDES),$(INSTANCE_PKGS)))
$(eval $(call usm_archive,src/instance,$(INSTANCE_CORE) $(INSTANCE_LOADER)))

$(eval $(call usm_program,$(O)/usm-instance,\
	$(patsubst %.c,$(O)/%.o,$(INSTANCE_SHELL)) $(O)/src/instance.a $(O)/src/device.a \
	$(O)/src/common.a,$(INSTANCE_PKGS),-lm))

PROGRAMS	+= $(O)/usm-instance
INSTALL_FILES	+= $(O)/usm-instance:$(libexecdir)/usm-instance:755
MANPAGES	+= src/man/usm-instance.8.scd src/man/usm-policy.7.scd
