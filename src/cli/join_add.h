/*
 * join_add.h
 *		Has a new node added to the lists of all members.
 */
#ifndef PGHA_CLI_JOIN_ADD_H
#define PGHA_CLI_JOIN_ADD_H

#include "join_fetch.h"

/*
 * Calls pgha_add_member() on the primary.  False with the reason in setup.error;
 * join->forbidden: the role may not call it, and setup.hint is what to type there.
 */
extern bool pgha_join_add(PghaJoin *join);

#endif							/* PGHA_CLI_JOIN_ADD_H */
