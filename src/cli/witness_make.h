/*
 * witness_make.h
 *		What `pgha witness init` is to make, as its options say.
 */
#ifndef PGHA_CLI_WITNESS_MAKE_H
#define PGHA_CLI_WITNESS_MAKE_H

#include <limits.h>

#include "../common/conninfo.h"
#include "../common/members.h"
#include "setup_password.h"

#define PGHA_WITNESS_MAX_SETTINGS	32
#define PGHA_WITNESS_MAX_ALLOWED	32

typedef struct PghaWitness
{
	char		data[PATH_MAX];
	const char *node;
	const char *members;		/* as written */
	char		witnesses[PGHA_MAX_MEMBERS * (PGHA_NAME_SIZE + PGHA_HOST_SIZE + 16)];
	const char *cluster;
	const char *listen;
	const char *allow;			/* who may log in; NULL: the hosts of members and witnesses */
	const char *conninfo;		/* NULL: pgha's own role and password file */
	char		user[64];		/* of conninfo */
	int			port;
	PghaMembers voters;
	const char *setting[PGHA_WITNESS_MAX_SETTINGS];	/* NAME=VALUE */
	int			setting_count;
	char		password[PGHA_PASSWORD_SIZE];	/* empty: none */
} PghaWitness;

/*
 * Makes the data directory of a witness, and its role.  Leaves its server running
 * if `start`.  False with a sentence in `error`: nothing is left of it then, unless
 * *left.  witness->data must not be a symbolic link to a directory.
 */
extern bool pgha_witness_make(const PghaWitness *witness, bool start, bool *left, char *error, size_t error_size);

/* Is a witness of that name in the directory? */
extern bool pgha_witness_is_made(const PghaWitness *witness);

/* Starts such a one, unless it runs.  False with a sentence in `error`. */
extern bool pgha_witness_start(const PghaWitness *witness, char *error, size_t error_size);

#endif							/* PGHA_CLI_WITNESS_MAKE_H */
