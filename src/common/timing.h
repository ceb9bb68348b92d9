/*
 * timing.h
 *		The rules that times of pgha.* must keep among each other.
 */
#ifndef PGHA_TIMING_H
#define PGHA_TIMING_H

#include <stdbool.h>
#include <stddef.h>

/* In milliseconds, as written. */
typedef struct PghaTiming
{
	int			heartbeat_interval;
	int			failure_timeout;
	int			startup_grace;
	int			lease_ttl;		/* 0: as long as failure_timeout */
	int			fence_timeout;
	bool		votes;			/* by the settings, the members vote */
} PghaTiming;

/* False with a sentence and a hint. */
extern bool pgha_timing_check(const PghaTiming *timing, char *error, size_t error_size, char *hint, size_t hint_size);
extern bool pgha_timing_check_lease(const PghaTiming *timing, char *error, size_t error_size, char *hint, size_t hint_size);
extern bool pgha_timing_check_fence(const PghaTiming *timing, char *error, size_t error_size, char *hint, size_t hint_size);

#endif							/* PGHA_TIMING_H */
