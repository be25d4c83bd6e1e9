# SPDX-License-Identifier: GPL-2.0-or-later
# The trusted runtime of the instance with a model of the module, the shipped
# policies as they are installed, and policies that mean harm.

POLICY_TEST_INCLUDES := $(INSTANCE_INCLUDES) -Isrc/instance -Itests/unit
POLICY_TEST_ARCHIVES := $(O)/san/src/instance.a $(O)/san/src/device.a $(O)/san/src/common.a
POLICY_TEST_SHARED := $(addprefix $(O)/san/tests/policy/,model.o model_evict.o storage.o support.o)

$(eval $(call usm_room,tests/policy,$(POLICY_TEST_INCLUDES),libcjson libsystemd check))

# $(call policy_test,NAME): $(O)/tests/policy/test-NAME
policy_test = $(eval $(call usm_unit_test,policy/test-$(1),$(O)/san/tests/policy/test_$(1).o \
	$(POLICY_TEST_SHARED) $(POLICY_TEST_ARCHIVES),libcjson libsystemd liblz4 check,-lm))
$(call policy_test,frameset)
$(call policy_test,plan)
$(call policy_test,firstfit)
$(call policy_test,upcall)
$(call policy_test,hostile)
$(call policy_test,store)
$(call policy_test,vault)
$(call policy_test,clock)
$(call policy_test,random)

# Policies that mean harm: loaded by test-hostile, installed nowhere.
HOSTILE_POLICIES := $(patsubst tests/policy/hostile/%.c,$(O)/tests/policy/hostile/%.so,\
	$(wildcard tests/policy/hostile/*.c))
$(O)/tests/policy/hostile/%.so: tests/policy/hostile/%.c src/sdk/usm/policy.h
	@$(say) POLICY $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_COMMON) -Isrc/sdk -fPIC -fvisibility=hidden -shared -Wl,-z,defs -o $@ $<

# Evicts whatever it meets: for test-random, and for programs to be tried with.
RANDOM_POLICY := $(O)/tests/policy/random/random.so
$(RANDOM_POLICY): tests/policy/random/random.c src/sdk/usm/policy.h
	@$(say) POLICY $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_COMMON) -Isrc/sdk -fPIC -fvisibility=hidden -shared -Wl,-z,defs -o $@ $<

$(O)/tests/policy/test-random: | $(RANDOM_POLICY)
$(O)/tests/policy/test-firstfit $(O)/tests/policy/test-upcall: | $(O)/policies/firstfit.so
$(O)/tests/policy/test-clock: | $(O)/policies/clock.so
$(O)/tests/policy/test-hostile: | $(HOSTILE_POLICIES)

# Policies that are built out of the tree. The script needs the program beside it.
$(eval $(call usm_program,$(O)/tests/policy/rehearse,\
	$(addprefix $(O)/tests/policy/,rehearse.o model.o model_evict.o storage.o) $(O)/src/instance.a $(O)/src/device.a \
	$(O)/src/common.a,libcjson libsystemd liblz4,-lm))

$(O)/tests/policy/outside: tests/policy/outside.sh $(O)/tests/policy/rehearse \
		src/sdk/usm/policy.h src/man/usm-policy.7.scd $(wildcard contrib/policy-example/*)
	$(Q)ln -sf $(abspath $<) $@

UNIT_TESTS += $(O)/tests/policy/outside

# For VM cases: an instance by itself on the real module.
$(eval $(call usm_program,$(O)/tests/policy/usher,\
	$(O)/tests/policy/usher.o $(O)/src/device.a $(O)/src/common.a,libcjson libsystemd,-lm))

VM_PROGRAMS += $(O)/tests/policy/usher $(HOSTILE_POLICIES) $(RANDOM_POLICY)
