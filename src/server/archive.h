/*
 * archive.h
 *		What a shared archive may tell this server, and what it is asked.
 */
#ifndef PGHA_ARCHIVE_H
#define PGHA_ARCHIVE_H

#include "postgres.h"

#include "../core/node.h"

/*
 * For the postmaster, before the startup process: PostgreSQL gets no timeline
 * history from the archive, now and after each reload.
 */
extern void PghaArchiveGuard(void);

/* Nor anything else until the next start.  False if there is no restore_command anyway. */
extern bool PghaArchiveIgnore(void);

/*
 * For the monitor of a standby, often: asks, now and then, for the histories of
 * the timelines after `timeline`, up to those that a promotion might go onto.
 * `newest` is the newest timeline that is known otherwise.
 */
extern void PghaArchiveTend(uint32 timeline, uint32 newest, int members, pgha_time now);

/* When there is something to tend. */
extern pgha_time PghaArchiveDue(pgha_time now);

extern void PghaArchiveStop(void);

/* Greatest timeline after the present one that the archive has a history of; 0 if none is known. */
extern uint32 PghaArchiveNewest(void);

/* Has the archive a history of this timeline? */
extern PghaFact PghaArchiveHas(uint32 timeline);

#endif							/* PGHA_ARCHIVE_H */
