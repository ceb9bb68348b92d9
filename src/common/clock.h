/*
 * clock.h
 *		Clocks that never jump.
 */
#ifndef PGHA_CLOCK_H
#define PGHA_CLOCK_H

#include <stdint.h>

/*
 * CLOCK_BOOTTIME in microseconds, and in milliseconds: it goes on while the
 * machine is suspended.  For all that others do meanwhile: leases, leadership,
 * silence.
 */
extern int64_t pgha_clock_us(void);
extern int64_t pgha_clock_ms(void);

/*
 * CLOCK_MONOTONIC in milliseconds: it stands still while the machine is
 * suspended.  For limits on what runs on this host, which stands still, too.
 */
extern int64_t pgha_awake_ms(void);

#endif							/* PGHA_CLOCK_H */
