/*
 * join_make.h
 *		Makes a new standby, as join.c has planned it.
 */
#ifndef PGHA_CLI_JOIN_MAKE_H
#define PGHA_CLI_JOIN_MAKE_H

#include "join_fetch.h"

/*
 * True: it streams.  False with the reason in setup.error: what was begun is taken
 * back, or setup.hint says that the same command goes on.
 */
extern bool pgha_join_make(PghaJoin *join);

#endif							/* PGHA_CLI_JOIN_MAKE_H */
