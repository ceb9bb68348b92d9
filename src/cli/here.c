/*
 * here.c
 *		Sessions with the cluster of this host, by what its files say.
 *
 * With the server of this host through its socket, as whoever runs this program, or as
 * the role that was named; libpq makes sure that the server belongs to the owner of the
 * data directory.  With the other members at their addresses of pgha.members, as their
 * servers log in to each other (pgha.conninfo): that login shows, and may give orders only
 * where it was granted.
 *
 * For client.c.  It writes no password anywhere, and asks for none.
 */
#include "here.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"

#define ANSWER_LIMIT_MS	15000

void
pgha_here_forget_environment(void)
{
	(void) unsetenv("PGHOST");
	(void) unsetenv("PGHOSTADDR");
	(void) unsetenv("PGPORT");
	(void) unsetenv("PGSERVICE");
	(void) unsetenv("PGTARGETSESSIONATTRS");
}

bool
pgha_here_conninfo(const PghaLocalCluster *local, const PghaAddress *member, char *out, size_t size)
{
	char		dbname[256];

	return pgha_conninfo_build(out, size, local->conf.conninfo, member, "pgha",
							   pgha_conninfo_get(local->conf.conninfo, "dbname", dbname, sizeof(dbname)) ? "" : "dbname=postgres");
}

/* ---- logins ---- */

/* Through the socket. */
static PGconn *
log_in_here(const PghaClientOptions *options, PghaFailure *failure, FILE *errors)
{
	const PghaLocalConf *conf = &options->local->conf;
	PghaClientOptions own = *options;
	char		port[16];
	char		dbname[256];

	(void) snprintf(port, sizeof(port), "%d", conf->port);
	own.host = conf->socket[0] != '\0' ? conf->socket : NULL;
	own.port = port;
	own.peer = options->local->owner_name[0] != '\0' ? options->local->owner_name : NULL;
	if (options->dbname == NULL && getenv("PGDATABASE") == NULL &&
		pgha_conninfo_get(conf->conninfo, "dbname", dbname, sizeof(dbname)))
		own.dbname = dbname;
	return pgha_connection_open(&own, NULL, failure, errors);
}

/* At an address: as the servers do, or as whoever runs this program. */
static PGconn *
log_in_at(const PghaClientOptions *options, const PghaPlace *place, bool as_servers, FILE *errors)
{
	PghaClientOptions other = *options;
	PghaFailure failure;

	if (as_servers && options->local->conf.conninfo[0] != '\0')
		other.conninfo = options->local->conf.conninfo;
	return pgha_connection_open(&other, place, &failure, errors);
}

static bool
may_call(PGconn *conn, const char *function, FILE *errors)
{
	char	   *answer = pgha_client_try_query(conn, "SELECT pg_catalog.has_function_privilege($1, 'EXECUTE')::text",
											   function, ANSWER_LIMIT_MS, errors);
	bool		may = answer != NULL && strcmp(answer, "true") == 0;

	free(answer);
	return may;
}

/*
 * A login that may give the order: that of the servers, if it was granted to it, or
 * one's own; a role that was named is the only one.
 */
static PGconn *
log_in_to_act(const PghaClientOptions *options, const PghaPlace *place, FILE *errors)
{
	FILE	   *nowhere = fopen("/dev/null", "w");
	bool		named = options->user != NULL || getenv("PGUSER") != NULL;
	PGconn	   *conn = log_in_at(options, place, !named, errors);
	PGconn	   *own = NULL;
	char		role[128];

	if (conn != NULL && may_call(conn, options->acts, errors))
		own = conn;
	else if (!named && nowhere != NULL)
		own = log_in_at(options, place, false, nowhere);
	if (own != NULL && own != conn && !may_call(own, options->acts, nowhere))
	{
		PQfinish(own);
		own = NULL;
	}
	if (own == NULL && conn != NULL)
	{
		(void) snprintf(role, sizeof(role), "%s", PQuser(conn));
		pgha_error(errors, "Give the order on that member's host, as the user that runs the server or as root; or let the role give orders:"
				   " SELECT pgha_setup_operator('ROLE'); on the primary; or name one that may with -U.",
				   "role \"%s\" may not call %s at %s:%s", role, options->acts, place->host, place->port);
	}
	else if (own == NULL)
		fprintf(errors, "HINT:  To give orders there takes a role that can log in at that address (-U, or pgha.conninfo), and may give orders.\n");
	if (conn != own)
		PQfinish(conn);
	if (nowhere != NULL)
		(void) fclose(nowhere);
	return own;
}

/* ---- members ---- */

static PGconn *
connect_place(const PghaClientOptions *options, const PghaPlace *place, FILE *errors)
{
	return options->acts != NULL ? log_in_to_act(options, place, errors) :
		log_in_at(options, place, options->user == NULL, errors);
}

static PGconn *
connect_member(const PghaClientOptions *options, int index, FILE *errors)
{
	const PghaAddress *member = &options->local->conf.members.member[index];
	char		port[16];
	const PghaPlace place = {member->host, "", port};

	(void) snprintf(port, sizeof(port), "%d", member->port);
	return connect_place(options, &place, errors);
}

/* Is it the server of this host, by its socket or by its address in pgha.members? */
static bool
is_here(const PghaLocalCluster *local, const PghaPlace *place)
{
	const PghaAddress *own = local->self != PGHA_NOBODY ? &local->conf.members.member[local->self] : NULL;

	return place->host[0] == '/' || place->host[0] == '@' ||
		(own != NULL && strcmp(place->host, own->host) == 0 && atoi(place->port) == own->port);
}

/* Would libpq find the password of the servers' login?  Without a file there may be none. */
static bool
has_servers_login(const PghaLocalCluster *local)
{
	char		file[1024];

	return local->conf.conninfo[0] != '\0' &&
		(!pgha_conninfo_get(local->conf.conninfo, "passfile", file, sizeof(file)) || access(file, R_OK) == 0);
}

/*
 * In the place of this host's server, which has not answered or has refused: the first
 * member that answers.  A witness lets in nobody but servers.
 */
static PGconn *
ask_another(const PghaClientOptions *options, PghaFailure failure, FILE *errors, FILE *why)
{
	const PghaLocalCluster *local = options->local;
	char		line[512];
	PGconn	   *conn = NULL;

	for (int i = 0; i < local->conf.members.count && conn == NULL; i++)
	{
		if (i == local->self && (failure != PGHA_REFUSED || options->acts != NULL))
			continue;
		conn = connect_member(options, i, why);
		if (conn == NULL)
			continue;
		(void) snprintf(line, sizeof(line), "pgha: the server of this host%s%s%s %s; asks \"%s\" at its address\n",
						local->conf.node[0] != '\0' ? ", \"" : "", local->conf.node, local->conf.node[0] != '\0' ? "\"," : "",
						failure == PGHA_REFUSED ? "refuses this user" : "does not answer", local->conf.members.member[i].name);
		pgha_put(line, errors);
	}
	return conn;
}

static void
put_hint(const PghaClientOptions *options, PghaFailure failure, FILE *errors)
{
	const PghaLocalCluster *local = options->local;
	char		line[PATH_MAX + 256];

	if (failure == PGHA_FAILED_OTHERWISE)
		return;
	if (failure == PGHA_REFUSED && local->owner_name[0] != '\0' && !pgha_local_is_owner(local))
		(void) snprintf(line, sizeof(line), "HINT:  Run it as the user \"%s\" or as root, or name a role that may log in with -U.\n", local->owner_name);
	else if (failure == PGHA_NOT_REACHED)
		(void) snprintf(line, sizeof(line), "HINT:  It is the server of \"%s\": start it, and see its log.\n",
						local->conf.data[0] != '\0' ? local->conf.data : local->conf.config_file);
	else
		(void) snprintf(line, sizeof(line), "HINT:  A line \"local all %s peer\" of pg_hba.conf lets in the user that runs the server; -U names another role.\n",
						options->user == NULL && local->owner_name[0] != '\0' ? local->owner_name : "all");
	pgha_put(line, errors);
}

static PGconn *
connect_any(const PghaClientOptions *options, FILE *errors)
{
	const PghaLocalCluster *local = options->local;
	char	   *said[2] = {NULL, NULL};
	size_t		size[2];
	FILE	   *own = open_memstream(&said[0], &size[0]);
	FILE	   *others = open_memstream(&said[1], &size[1]);
	PghaFailure failure = PGHA_NOT_REACHED;
	PGconn	   *conn = NULL;

	if (own != NULL && others != NULL)
	{
		if (local->conf.no_socket && local->self != PGHA_NOBODY)
			conn = connect_member(options, local->self, own);
		else
			conn = log_in_here(options, &failure, own);
		if (conn == NULL && !options->here && failure != PGHA_FAILED_OTHERWISE && has_servers_login(local))
			conn = ask_another(options, failure, errors, others);
	}
	if (own != NULL)
		(void) fclose(own);
	if (others != NULL)
		(void) fclose(others);
	if (conn == NULL)
	{
		fputs(said[0] != NULL ? said[0] : "pgha: error: out of memory\n", errors);
		put_hint(options, failure, errors);
		fputs(said[1] != NULL ? said[1] : "", errors);
	}
	free(said[0]);
	free(said[1]);
	return conn;
}

PGconn *
pgha_here_connect(const PghaClientOptions *options, const PghaPlace *place, FILE *errors)
{
	const PghaLocalCluster *local = options->local;
	int			index = options->at != NULL && place == NULL ? pgha_voters_find(&local->conf.members, options->at) : local->self;
	PghaClientOptions only = *options;

	if (place != NULL && !is_here(local, place))
		return connect_place(options, place, errors);
	if (place == NULL && options->at != NULL && index != local->self)
		return index != PGHA_NOBODY ? connect_member(options, index, errors) : NULL;

	/* This very one was named: no other can stand in for it. */
	only.here |= place != NULL || options->at != NULL;
	return connect_any(&only, errors);
}
