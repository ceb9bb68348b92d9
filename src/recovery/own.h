/*
 * own.h
 *		What here does the leader not have?
 */
#ifndef PGHA_OWN_H
#define PGHA_OWN_H

#include "history.h"

typedef struct PghaOwnAnswer
{
	PghaOwn		own;
	bool		parted;			/* the WAL of a timeline that both have differs: this node can neither follow nor be rewound */
	bool		above;			/* UNKNOWN, and its term or WAL end is above the leader's */
	PghaControl control;		/* PROVEN: of the data directory */
	PghaFork	fork;			/* PROVEN: from fork.lsn on, from timeline fork.timeline on */
	pgha_lsn	end;			/* of the WAL here, as far as it is known */
	char		sqlstate[6];	/* UNKNOWN: why */
	char		reason[512];
	char		detail[1024];
} PghaOwnAnswer;

/*
 * Looks at the data directory, whether its server runs or not, and asks the
 * leader.  Never fails: what cannot be found out is UNKNOWN.  NOTHING is said of
 * no data directory, of one that was given up before, and where it is proven.
 */
extern PghaOwn pgha_own_ask(PghaJobRun *run, PGconn *leader, PghaOwnAnswer *answer);

/* Fails with the reason of an answer UNKNOWN, and what to do; always false. */
extern bool pgha_own_refuse(PghaJobRun *run, const PghaOwnAnswer *answer, const char *hint);

#endif							/* PGHA_OWN_H */
