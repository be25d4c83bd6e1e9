# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of the rooms that this code base shares and of the small programs:
# Check under the sanitizers, the programs themselves behind a socket, and a
# fuzzer for all text that others write.

UNIT_PKGS	:= check libcjson libsystemd
UNIT_COMMON	:= $(O)/san/src/common.a
UNIT_ANNOTATION	:= $(O)/san/src/annotation.a $(UNIT_COMMON)

$(eval $(call usm_room,tests/unit,-Isrc/common -Isrc/annotation -Isrc/hook,check libcjson))
$(eval $(call usm_unit_test,test-annotation,$(O)/san/tests/unit/test_annotation.o $(UNIT_ANNOTATION),$(UNIT_PKGS)))
$(eval $(call usm_unit_test,test-common,$(O)/san/tests/unit/test_common.o $(UNIT_COMMON),$(UNIT_PKGS)))
$(eval $(call usm_unit_test,test-control,$(O)/san/tests/unit/test_control.o $(UNIT_COMMON),$(UNIT_PKGS)))
$(eval $(call usm_unit_test,test-hook,$(O)/san/tests/unit/test_hook.o \
	$(O)/san/src/hook/state.o $(O)/san/src/hook/input.o $(UNIT_COMMON),$(UNIT_PKGS)))

# The programs themselves, with the sanitizers on.
UNIT_USMCTL	:= $(patsubst src/%,$(O)/san/src/%,$(patsubst %.c,%.o,$(wildcard src/usmctl/*.c))) \
		   $(UNIT_ANNOTATION)
UNIT_HOOK	:= $(patsubst src/%,$(O)/san/src/%,$(patsubst %.c,%.o,$(wildcard src/hook/*.c))) \
		   $(UNIT_COMMON)
UNIT_PEER	:= $(O)/san/tests/unit/peer.o $(UNIT_COMMON)

$(eval $(call usm_program,$(O)/san/usmctl,$(UNIT_USMCTL),libcjson libsystemd,$(CFLAGS_SAN)))
$(eval $(call usm_program,$(O)/san/usm-oci-hook,$(UNIT_HOOK),libcjson libsystemd,$(CFLAGS_SAN)))
$(eval $(call usm_unit_test,test-usmctl,$(O)/san/tests/unit/test_usmctl.o $(UNIT_PEER),$(UNIT_PKGS)))
$(O)/tests/test-usmctl: $(O)/san/usmctl
$(eval $(call usm_unit_test,test-hook-program,$(O)/san/tests/unit/test_hook_program.o $(UNIT_PEER),$(UNIT_PKGS)))
$(O)/tests/test-hook-program: $(O)/san/usm-oci-hook

# Coverage wants the rooms compiled by clang as well, in one go for each fuzzer.
FUZZ_SECONDS	?= 60
FUZZ_CFLAGS	:= $(CFLAGS_COMMON) -O1 -fsanitize=fuzzer,address,undefined \
		   -fno-sanitize-recover=all -fno-omit-frame-pointer \
		   -Isrc/common -Isrc/annotation -Isrc/hook -Isrc/instance -Itests/policy
FUZZ_SOURCES_annotation	:= $(wildcard src/common/*.c src/annotation/*.c)
FUZZ_SOURCES_control	:= $(wildcard src/common/*.c)
FUZZ_SOURCES_state	:= $(wildcard src/common/*.c) src/hook/state.c
FUZZ_SOURCES_store	:= $(addprefix src/instance/,lz4.c memstore.c slab.c sum.c) tests/policy/storage.c
FUZZERS		:= $(addprefix $(O)/fuzz/,annotation control state store)

define usm_fuzzer
$(O)/fuzz/$(1): tests/unit/fuzz_$(1).c $(FUZZ_SOURCES_$(1)) \
		$(wildcard src/common/*.h src/annotation/*.h src/hook/*.h src/instance/*.h)
	@$$(say) FUZZER $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)clang $$(FUZZ_CFLAGS) -o $$@ $$(filter %.c,$$^) \
		$$$$(pkg-config --cflags --libs libcjson libsystemd liblz4)
endef
$(foreach name,annotation control state store,$(eval $(call usm_fuzzer,$(name))))

# The longest first: the others run beside it.
UNIT_TESTS	:= tests/unit/fuzz $(UNIT_TESTS) tests/unit/man-examples tests/unit/samples
UNIT_NEEDS	+= $(FUZZERS) $(O)/san/usmctl
check-unit: export USM_BUILD := $(O)
check-unit: export FUZZ_SECONDS := $(FUZZ_SECONDS)
