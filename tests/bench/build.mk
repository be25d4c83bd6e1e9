# SPDX-License-Identifier: GPL-2.0-or-later
# Numbers, not verdicts: what memory costs under USM and without.

$(eval $(call usm_room,tests/bench,))
$(eval $(call usm_program,$(O)/tests/bench/bench-memory,$(O)/tests/bench/memory.o))

.PHONY: bench
bench: vm-image $(O)/tests/bench/bench-memory	## count what memory costs, in guest instructions
	$(Q)tests/vm/run --dir $(VM_DIR) $(VM_CASE) --cases tests/bench/cases --logs bench --show \
		$(VM_EXIT) $(O)/tests/bench/bench-memory
