/*
 * checks.h
 *		The checks of pgha_doctor(), in tables by what they look at.
 *
 * Each file with checks defines one table; doctor.c goes through all of them.
 */
#ifndef PGHA_CHECKS_H
#define PGHA_CHECKS_H

#include "finding.h"

/* What a check cannot do without; where it is missing, the check is left out. */
#define PGHA_NEEDS_LIBRARY	1	/* pgha is preloaded: its settings are defined */
#define PGHA_NEEDS_VIEW		2	/* this server is managed, and its monitor has published */
#define PGHA_NEEDS_OTHERS	4	/* ... and there are other members */
#define PGHA_NEEDS_PRIMARY	8
#define PGHA_NEEDS_STANDBY	16
#define PGHA_NEEDS_DATA		32	/* not a witness */

typedef struct PghaCheck
{
	const char *name;			/* stable: monitoring goes by it; NULL ends a table */
	int			needs;
	void		(*run) (PghaDoctor *doctor);
} PghaCheck;

extern const PghaCheck pgha_checks_self[];	/* self.c */
extern const PghaCheck pgha_checks_cluster[];	/* cluster.c */
extern const PghaCheck pgha_checks_quorum[];	/* quorum.c */
extern const PghaCheck pgha_checks_settings[];	/* settings.c */
extern const PghaCheck pgha_checks_sync[];	/* sync.c */
extern const PghaCheck pgha_checks_access[];	/* access.c */
extern const PghaCheck pgha_checks_host[];	/* host.c */

#endif							/* PGHA_CHECKS_H */
