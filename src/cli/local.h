/*
 * local.h
 *		The cluster of this host: which it is, and whose, without a connection.
 */
#ifndef PGHA_LOCAL_H
#define PGHA_LOCAL_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "../host/conf.h"

/* What was given; NULL: not given. */
typedef struct PghaLocalOptions
{
	const char *data;			/* -D */
	const char *config_file;	/* --config */
	const char *cluster;		/* --cluster: Debian's VERSION/NAME */
} PghaLocalOptions;

typedef struct PghaLocalCluster
{
	bool		found;			/* false: this host has none */
	PghaLocalConf conf;
	char		cluster[128];	/* Debian's VERSION/NAME; empty: not found by it */
	int			self;			/* of conf.members: this node, or PGHA_NOBODY */
	bool		witness;		/* it is one of pgha.witnesses */
	uid_t		owner;			/* of the data directory, or of its configuration */
	gid_t		group;
	char		owner_name[64]; /* empty: the owner is not known */
} PghaLocalCluster;

/*
 * Finds it: -D or --config; --cluster; PGDATA; PGCLUSTER; else the one cluster of
 * /etc/postgresql (PG_CLUSTER_CONF_ROOT) that has pgha.node.  Reads its files, as
 * root with the rights of their owner.  False after an error message: what was named
 * cannot be used, or there are several, or one may be another that cannot be read.
 */
extern bool pgha_local_find(const PghaLocalOptions *options, PghaLocalCluster *local, FILE *errors);

/*
 * Does the environment name a server, so that the cluster of this host is not meant?
 * What Debian's pg_wrapper has put there of a local one does not count.
 */
extern bool pgha_local_overruled(void);

/*
 * As root: becomes the owner, for good.  For another user nothing happens.  False after
 * an error message.
 */
extern bool pgha_local_become_owner(const PghaLocalCluster *local, FILE *errors);

/* Does this process run as the owner? */
extern bool pgha_local_is_owner(const PghaLocalCluster *local);

/* "db-1, db-2, db-3" (cut to fit); witnesses, too, if `voters`. */
extern void pgha_local_names(const PghaLocalCluster *local, bool voters, char *out, size_t size);

#endif							/* PGHA_LOCAL_H */
