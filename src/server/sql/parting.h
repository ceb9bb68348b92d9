/*
 * parting.h
 *		Orders that end the session which gives them: its answer comes first.
 */
#ifndef PGHA_PARTING_H
#define PGHA_PARTING_H

#include "postgres.h"

/* What such an order does at last.  It must not raise an error: the transaction has been committed. */
typedef void (*PghaPartingAct) (const char *argument);

/*
 * Has `act` called with `argument` (at most 15 characters; copied) once this
 * transaction has been committed, when the answer is as good as sent: what ends the
 * session after that, but for SIGQUIT, does not take the answer away.  Called at once
 * it would, now and then, and the client would take for a failure what was done.  Of
 * two in a transaction the last one counts; none does if its subtransaction is rolled
 * back.
 */
extern void PghaAtCommit(PghaPartingAct act, const char *argument);

/* Has it called at the end of this transaction, however that comes; for what was begun already. */
extern void PghaAtEnd(PghaPartingAct act, const char *argument);

#endif							/* PGHA_PARTING_H */
