/*
 * clock.c
 *		Clocks that never jump, for the server and the program.
 *
 * Never the time of day: an administrator or NTP may set that.
 */
#include "clock.h"

#include <time.h>

/* Neither clock can fail where it exists, and both do on every Linux. */
static struct timespec
read_clock(clockid_t clock)
{
	struct timespec now = {.tv_sec = 0};

	(void) clock_gettime(clock, &now);
	return now;
}

int64_t
pgha_clock_us(void)
{
	struct timespec now = read_clock(CLOCK_BOOTTIME);

	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
pgha_clock_ms(void)
{
	return pgha_clock_us() / 1000;
}

int64_t
pgha_awake_ms(void)
{
	struct timespec now = read_clock(CLOCK_MONOTONIC);

	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
