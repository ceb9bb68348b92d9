/*
 * confirm.h
 *		Which standbys must have flushed a commit, when the members vote.
 */
#ifndef PGHA_CONFIRM_H
#define PGHA_CONFIRM_H

#include "postgres.h"

#include "access/xlogdefs.h"

#include "../common/members.h"
#include "../core/state.h"

/*
 * For the monitor, after each step and before anything of it is made known:
 * what the rules ask of commits from now on, and who the walsenders send to.
 */
extern void PghaConfirmSet(const PghaNode *node, const PghaMembers *members);

/* For commits.  Do the rules ask for anything?  One atomic read. */
extern bool PghaConfirmAsked(void);

/* Have so many standbys flushed so far that all rules in force are satisfied? */
extern bool PghaConfirmed(XLogRecPtr lsn);

#endif							/* PGHA_CONFIRM_H */
