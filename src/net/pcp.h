/*
 * pcp.h
 *		PCP, the protocol by which pgpool-II is asked and told of its backends.
 */
#ifndef PGHA_PCP_H
#define PGHA_PCP_H

#include <stdbool.h>
#include <stddef.h>

#include "../common/members.h"

/* A user of PCP, and the file of the form of .pcppass that has the password. */
typedef struct PghaPcpLogin
{
	const char *user;
	const char *passfile;
} PghaPcpLogin;

/* A session; it blocks for as long as pgpool does not answer. */
typedef struct PCPConnInfo PghaPcp;

/* A backend as pgpool's books have it. */
typedef struct PghaPcpBackend
{
	char		host[PGHA_HOST_SIZE];
	int			port;
	bool		down;
	bool		primary;
} PghaPcpBackend;

typedef enum PghaPcpOrder
{
	PGHA_PCP_ATTACH,
	PGHA_PCP_PROMOTE,			/* in pgpool's books only */
	PGHA_PCP_DETACH
} PghaPcpOrder;

/* A process that was just forked for one pgpool begins; an alarm ends it. */
extern void pgha_pcp_begin(unsigned limit_s);

/*
 * Logs in, and gets the number of backends (0 if that could not be had).  NULL
 * with a sentence in `error`.
 */
extern PghaPcp *pgha_pcp_open(const PghaPcpLogin *login, const char *host, int port, int *count,
							  char *error, size_t error_size);
extern void pgha_pcp_close(PghaPcp *pcp);

/* False if pgpool does not say. */
extern bool pgha_pcp_backend(PghaPcp *pcp, int number, PghaPcpBackend *backend);

/* False with the reason in `error` if pgpool refuses. */
extern bool pgha_pcp_order(PghaPcp *pcp, PghaPcpOrder order, int number, char *error, size_t error_size);

/*
 * Logs in to one pgpool in a process of its own, within seconds, and asks for its
 * number of backends: that, or -1 with a sentence in `error`.
 */
extern int	pgha_pgpool_try(const PghaPcpLogin *login, const char *host, int port,
							char *error, size_t error_size);

/* The member that has this address in pgpool's books, or PGHA_NOBODY. */
extern int	pgha_pcp_member(const PghaMembers *members, const char *host, int port);

#endif							/* PGHA_PCP_H */
