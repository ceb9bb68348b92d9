/*
 * leader.h
 *		Sessions of a recovery with the leader and with the own server.
 */
#ifndef PGHA_LEADER_H
#define PGHA_LEADER_H

#include "../net/member.h"
#include "report.h"

/* pgha_member_connect() for a member of the run's configuration. */
extern PGconn *pgha_job_connect(PghaJobRun *run, int member, const char *extra,
								char *error, size_t error_size);

/* Connects to the leader, which must be a primary; NULL after pgha_job_fail(). */
extern PGconn *pgha_job_leader(PghaJobRun *run);

/*
 * The same, and this node's own server if that leads: for the former data directory,
 * which is compared with whoever leads now.
 */
extern PGconn *pgha_job_judge(PghaJobRun *run);

/* Has an event written by the leader, or by the own server; best effort. */
extern void pgha_job_event(PghaJobRun *run, const char *kind, const char *format,...)
			__attribute__((format(printf, 3, 4)));

#endif							/* PGHA_LEADER_H */
