/*
 * setup_database.h
 *		What of a node is in its database: the extension and the members' role.
 */
#ifndef PGHA_CLI_SETUP_DATABASE_H
#define PGHA_CLI_SETUP_DATABASE_H

#include "setup_node.h"

typedef struct PghaFound
{
	bool		recovery;		/* it is a standby */
	bool		role;
	bool		extension;
	bool		at_work;		/* the server runs with pgha as this node */
	int			others;			/* members that it streams to */
} PghaFound;

/* A session with the server here as its owner; NULL with the reason in setup->error. */
extern PGconn *pgha_database_connect(PghaSetup *setup);

/* Looks what is there; false with the reason in setup->error. */
extern bool pgha_database_look(PghaSetup *setup, PghaFound *found);

/* Makes both, or none; a role that is there gets the password. */
extern bool pgha_database_fill(PghaSetup *setup, const PghaFound *found);

/* Has nobody put anything into it yet?  Not known is no; then the reason is in setup->error. */
extern bool pgha_database_is_empty(PghaSetup *setup);

/* Drops what is said; the slots of members, too. */
extern bool pgha_database_drop(PghaSetup *setup, bool extension, bool role, bool slots);

#endif							/* PGHA_CLI_SETUP_DATABASE_H */
