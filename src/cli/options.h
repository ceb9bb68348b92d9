/*
 * options.h
 *		What the subcommands for people were told.
 */
#ifndef PGHA_OPTIONS_H
#define PGHA_OPTIONS_H

#include <stdbool.h>

#include "local.h"
#include "terminal.h"

/* Options a subcommand may take beside those of the connection. */
#define PGHA_OPTION_JSON	1
#define PGHA_OPTION_LIMIT	2
#define PGHA_OPTION_FORCE	4
#define PGHA_OPTION_WATCH	8
#define PGHA_OPTION_COLOR	16
#define PGHA_OPTION_RECOVER 32	/* a node, and a method */
#define PGHA_OPTION_NODE	64	/* a node that it is about may be given, in front of the connection */
#define PGHA_OPTION_TIMEOUT 128
#define PGHA_OPTION_ROLLING 256
#define PGHA_OPTION_LOSS	512
#define PGHA_OPTION_HOST	1024	/* --pgdata and its kin may stand beside a connection */
#define PGHA_OPTION_WIDE	2048

typedef struct PghaClientOptions
{
	const char *conninfo;		/* NULL, like the others: not given */
	const char *host;
	const char *port;
	const char *user;
	const char *dbname;
	bool		json;
	bool		force;
	int			limit;
	double		watch;			/* seconds; 0: not asked for */
	PghaColor	color;
	const char *node;			/* that the subcommand is about */
	const char *at;				/* a member that is to be connected to */
	const char *method;
	int			timeout;		/* seconds */
	bool		rolling;
	bool		accept_loss;
	bool		wide;
	PghaLocalOptions where;
	const PghaLocalCluster *local;	/* of this host, if that is meant; NULL: as the above say */
	const PghaLocalCluster *host_cluster;	/* the same, or the one named beside a connection; NULL: none */

	/* Set by the subcommand. */
	const char *acts;			/* the function that acts, as "pgha_pause()"; NULL: it reads */
	bool		here;			/* no other member can stand in for the one that is meant */

	const char *peer;			/* set inside: the user whose server it must be */
} PghaClientOptions;

#endif							/* PGHA_OPTIONS_H */
