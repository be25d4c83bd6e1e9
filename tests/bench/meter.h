/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the machine's only CPU did, whoever ran. */
#ifndef USM_BENCH_METER_H
#define USM_BENCH_METER_H

#include <stdint.h>
#include <time.h>

uint64_t meter_now(clockid_t clock);

/* Somebody who takes the CPU when nobody else does: the time that it got was idle. */
void meter_start(void);
void meter_stop(void);

/* Nanoseconds in which somebody had work, since some moment; between start and stop. */
uint64_t meter_busy(void);

/* Until everybody is done with what they were given, and has got ready what comes next. */
void meter_settle(void);

#endif /* USM_BENCH_METER_H */
