/*
 * recover.h
 *		Having a member's agent bring its node back.
 */
#ifndef PGHA_RECOVER_H
#define PGHA_RECOVER_H

#include "../agents.h"
#include "../compat.h"

/* Fills *failure; always returns false. */
extern bool PghaFailed(PghaFailure *failure, int sqlstate, const char *hint, const char *format,...)
			__attribute__((format(printf, 4, 5)));

/* Raises it as an ERROR, or shows it as a WARNING. */
pg_noreturn extern void PghaRaise(const PghaFailure *failure);
extern void PghaWarn(const PghaFailure *failure);

/* Is this word one of auto, rewind, clone, start? */
extern bool PghaMethodValid(const char *method);

/*
 * Does the member stream from a primary now?  It must have said so when it was asked
 * after this call, which waits for that; if that is not known in time it does not.
 */
extern bool PghaNodeStreams(const char *node);

/*
 * Orders the recovery of `node` from its agent, or joins the one under way, and
 * waits for its end; says by NOTICEs how far it is.  False with the reason in
 * *failure.  Must be called on the primary.  A cancelled query gives up the
 * job, unless another session waits for it, too, or it was not ordered here; a
 * lost connection leaves it running.
 */
extern bool PghaRecover(const char *node, const char *method, PghaFailure *failure);

/*
 * Has this host's own agent restart the server in `mode` (smart, fast, immediate)
 * once this transaction has been committed.  Raises an error if none is connected now.
 */
extern void PghaRestartByAgent(const char *mode);

#endif							/* PGHA_RECOVER_H */
