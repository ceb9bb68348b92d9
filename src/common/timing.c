/*
 * timing.c
 *		The rules that times of pgha.* must keep among each other.
 *
 * Called by the server, at start and at each reload (config.c, config_votes.c),
 * and by `pgha agent --check`, which looks at the same files without a server.
 */
#include "timing.h"

#include <stdio.h>

/* In ms; messages say them, too.  A busy server may be silent for less. */
#define FAILURE_TIMEOUT_MIN	500
#define HEARTBEAT_MIN		10
#define FENCE_TIMEOUT_MIN	1000
/* Beats to a lease (quorum.md, 4). */
#define LEASE_BEATS			4
/* A lease that is shorter is lost whenever a server is busy. */
#define LEASE_MIN			500

bool
pgha_timing_check(const PghaTiming *timing, char *error, size_t error_size, char *hint, size_t hint_size)
{
	if (timing->failure_timeout < FAILURE_TIMEOUT_MIN)
	{
		(void) snprintf(error, error_size, "pgha.failure_timeout (%d ms) is below 500 ms", timing->failure_timeout);
		(void) snprintf(hint, hint_size, "Write pgha.failure_timeout = '3s'; a busy server may be silent for a moment.");
		return false;
	}
	if (timing->heartbeat_interval < HEARTBEAT_MIN)
	{
		(void) snprintf(error, error_size, "pgha.heartbeat_interval (%d ms) is below 10 ms", timing->heartbeat_interval);
		(void) snprintf(hint, hint_size, "Write pgha.heartbeat_interval = '500ms'.");
		return false;
	}
	if (timing->failure_timeout / 3 < timing->heartbeat_interval)
	{
		(void) snprintf(error, error_size, "pgha.failure_timeout (%d ms) is less than three times pgha.heartbeat_interval (%d ms)",
						timing->failure_timeout, timing->heartbeat_interval);
		(void) snprintf(hint, hint_size, "Write pgha.failure_timeout = '%lldms' or more, or a smaller pgha.heartbeat_interval.",
						3LL * timing->heartbeat_interval);
		return false;
	}
	if (timing->startup_grace < timing->failure_timeout)
	{
		(void) snprintf(error, error_size, "pgha.startup_grace (%d ms) is less than pgha.failure_timeout (%d ms)",
						timing->startup_grace, timing->failure_timeout);
		(void) snprintf(hint, hint_size, "Write pgha.startup_grace = '%dms' or more.", timing->failure_timeout);
		return false;
	}
	return true;
}

bool
pgha_timing_check_lease(const PghaTiming *timing, char *error, size_t error_size, char *hint, size_t hint_size)
{
	int			ttl = timing->lease_ttl != 0 ? timing->lease_ttl : timing->failure_timeout;

	if (ttl < LEASE_MIN)
	{
		int			beats = LEASE_BEATS * timing->heartbeat_interval;

		(void) snprintf(error, error_size, "pgha.lease_ttl (%d ms) is below %d ms", ttl, LEASE_MIN);
		(void) snprintf(hint, hint_size, "Write pgha.lease_ttl = 0, which makes it as long as pgha.failure_timeout, or '%dms' or more.",
						beats > LEASE_MIN ? beats : LEASE_MIN);
		return false;
	}
	if ((timing->votes || timing->lease_ttl != 0) && ttl < LEASE_BEATS * timing->heartbeat_interval)
	{
		(void) snprintf(error, error_size, "the lease of a primary (%s = %d ms) is shorter than four times pgha.heartbeat_interval (%d ms)",
						timing->lease_ttl != 0 ? "pgha.lease_ttl" : "pgha.failure_timeout", ttl, timing->heartbeat_interval);
		(void) snprintf(hint, hint_size, "Write pgha.heartbeat_interval = '%dms' or less, or pgha.lease_ttl = '%dms' or more, the same on all nodes.",
						ttl / LEASE_BEATS, LEASE_BEATS * timing->heartbeat_interval);
		return false;
	}
	return true;
}

bool
pgha_timing_check_fence(const PghaTiming *timing, char *error, size_t error_size, char *hint, size_t hint_size)
{
	if (timing->fence_timeout >= FENCE_TIMEOUT_MIN)
		return true;
	(void) snprintf(error, error_size, "pgha.fence_timeout (%d ms) is below 1 s", timing->fence_timeout);
	(void) snprintf(hint, hint_size, "Write pgha.fence_timeout = '120s'; an instance takes half a minute or more to stop.");
	return false;
}
