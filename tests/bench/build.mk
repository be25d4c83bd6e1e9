# SPDX-License-Identifier: GPL-2.0-or-later
# Numbers, not verdicts: what memory costs under USM and without.

BENCH_PROGRAMS := $(addprefix $(O)/tests/bench/bench-,memory domains evict metadata sample scaling spaces)

$(eval $(call usm_room,tests/bench,-Idkms/include/uapi))
$(eval $(call usm_program,$(O)/tests/bench/bench-memory,$(O)/tests/bench/memory.o \
	$(O)/tests/bench/meter.o))
$(eval $(call usm_program,$(O)/tests/bench/bench-evict,$(O)/tests/bench/evict.o \
	$(O)/tests/bench/meter.o))
$(eval $(call usm_program,$(O)/tests/bench/bench-domains,$(O)/tests/bench/domains.o \
	$(O)/tests/uapi/domain.o))
$(eval $(call usm_program,$(O)/tests/bench/bench-sample,$(O)/tests/bench/sample.o \
	$(O)/tests/uapi/domain.o))
$(eval $(call usm_program,$(O)/tests/bench/bench-metadata,$(O)/tests/bench/metadata.o \
	$(O)/tests/uapi/domain.o))
$(eval $(call usm_program,$(O)/tests/bench/bench-spaces,$(O)/tests/bench/spaces.o \
	$(O)/tests/bench/meter.o $(O)/tests/uapi/domain.o))
$(eval $(call usm_program,$(O)/tests/bench/bench-scaling,$(O)/tests/bench/scaling.o \
	$(O)/tests/bench/meter.o $(O)/tests/uapi/domain.o,,-pthread))

# A VM case looks at what locks are taken meanwhile.
VM_PROGRAMS += $(O)/tests/bench/bench-scaling

.PHONY: bench
bench: vm-image $(BENCH_PROGRAMS)	## count what memory costs, in guest instructions, into build/bench.json
	$(Q)rm -rf $(VM_DIR)/bench
	$(Q)tests/vm/run --dir $(VM_DIR) $(VM_CASE) --cases tests/bench/cases --logs bench \
		$(VM_EXIT) $(BENCH_PROGRAMS)
	$(Q)tests/bench/report $(O)/bench.json $(VM_DIR)/bench
