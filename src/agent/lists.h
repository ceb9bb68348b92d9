/*
 * lists.h
 *		The primary's orders to change the list of members in this server's files.
 */
#ifndef PGHA_AGENT_LISTS_H
#define PGHA_AGENT_LISTS_H

#include "conf.h"
#include "session.h"

/*
 * Takes an order of this session, and gives it to a process of its own; one that
 * was taken before only gets its outcome told to this session.  `busy`: a recovery
 * is under way, and the order is refused.
 */
extern void pgha_lists_take(PghaSession *session, const PghaAgentOptions *options, bool busy);

/* Is one being carried out? */
extern bool pgha_lists_busy(void);

/* Was that process ours? */
extern bool pgha_lists_ended(pid_t pid);

/* Tells the outcome, if there is one for this session, which is READY.  True if it did. */
extern bool pgha_lists_tell(PghaSession *session);

#endif							/* PGHA_AGENT_LISTS_H */
