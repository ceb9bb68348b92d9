/*
 * join_fetch.c
 *		What a new node has to know of its cluster, by one login.
 *
 * For join.c, and witness_from.c.  It asks, as the members' role, and changes nothing anywhere.  What
 * comes from there is checked before it is written into a file here.
 */
#include "join_fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../common/errors.h"
#include "../common/log.h"

/* What the members must agree on, and what a standby must not have less of. */
#define SHARED_SETTINGS \
"SELECT name || '=' || pg_catalog.current_setting(name) FROM pg_catalog.pg_settings" \
" WHERE setting IS DISTINCT FROM boot_val AND name IN ('pgha.heartbeat_interval', 'pgha.failure_timeout', 'pgha.startup_grace'," \
" 'pgha.max_failover_lag', 'pgha.address', 'pgha.fence', 'pgha.quorum', 'pgha.lease_ttl', 'pgha.refused_is_down'," \
" 'max_connections', 'max_worker_processes', 'max_wal_senders', 'max_replication_slots', 'max_prepared_transactions', 'max_locks_per_transaction')" \
" ORDER BY name"

/* "HOST", "HOST:PORT", or a connection string of which host and port count. */
static bool
take_from(PghaJoin *join, PghaAddress *at)
{
	PghaSetup  *setup = &join->setup;
	char		text[PGHA_HOST_SIZE + 64];
	char		error[512];
	char		host[PGHA_HOST_SIZE] = "";
	char		port[16] = "5432";
	PghaMembers one;

	if (strchr(join->from, '=') != NULL || strstr(join->from, "://") != NULL)
	{
		PQconninfoOption *options = PQconninfoParse(join->from, NULL);

		for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
		{
			if (option->val != NULL && strcmp(option->keyword, "host") == 0)
				(void) snprintf(host, sizeof(host), "%s", option->val);
			if (option->val != NULL && strcmp(option->keyword, "port") == 0)
				(void) snprintf(port, sizeof(port), "%s", option->val);
		}
		PQconninfoFree(options);
		(void) snprintf(text, sizeof(text), strchr(host, ':') != NULL ? "x=[%s]:%s" : "x=%s:%s", host, port);
	}
	else
		(void) snprintf(text, sizeof(text), "x=%s", join->from);
	if (!pgha_members_parse(text, &one, error, sizeof(error)) || one.count != 1)
		return pgha_setup_refuse(setup, "Write --from db-1, --from 10.0.3.21:5432 or --from 'host=db-1 port=5432': one host.",
								 "\"%.200s\" is not a member that can be asked", join->from);
	*at = one.member[0];
	return true;
}

static PGconn *
log_in(PghaJoin *join, const PghaAddress *at)
{
	PghaSetup  *setup = &join->setup;
	PGconn	   *conn = pgha_setup_login(setup, at->host, at->port);

	if (conn == NULL)
		(void) snprintf(setup->hint, sizeof(setup->hint), strstr(setup->error, "pg_hba.conf") != NULL ?
						"On each member, in front of all other lines of pg_hba.conf, let this host in: host replication,postgres pgha ADDRESS/32 scram-sha-256; then reload." :
						"The password is that of the role \"pgha\"; \"pgha create\" has put it into the file DATA.pgha/passfile on its host.");
	return conn;
}

static bool
ask(PghaJoin *join, PGconn *conn, const char *query, const char *parameter, char *value, size_t size)
{
	PghaSetup  *setup = &join->setup;

	if (pgha_setup_value(conn, query, parameter, value, size, setup->error, sizeof(setup->error)))
		return true;
	pgha_shown(setup->error, false);
	(void) snprintf(setup->hint, sizeof(setup->hint), "Is it a member of a cluster of pgha, with the extension in the database postgres?");
	return false;
}

/* Goes to the primary if another one was asked. */
static PGconn *
find_primary(PghaJoin *join, const PghaAddress *at)
{
	PghaSetup  *setup = &join->setup;
	PGconn	   *conn = log_in(join, at);
	char		address[PGHA_HOST_SIZE + 64];
	char		error[512];
	char		role[64];
	PghaMembers one;

	if (conn == NULL)
		return NULL;
	join->primary = *at;
	if (!ask(join, conn, "SELECT role FROM pgha_status()", NULL, role, sizeof(role)) ||
		!ask(join, conn, "SELECT 'x=' || address FROM pgha_cluster() WHERE role = 'primary' AND reachable ORDER BY term DESC LIMIT 1", NULL, address, sizeof(address)))
	{
		PQfinish(conn);
		return NULL;
	}
	if (strcmp(role, "primary") == 0)
		return conn;
	PQfinish(conn);
	if (!pgha_members_parse(address, &one, error, sizeof(error)) || one.count != 1)
	{
		(void) pgha_setup_refuse(setup, "\"pgha status\" there says why.  If it waits for nodes that have never joined, lead it on by order:"
									" \"pgha promote --force\" there.", "no primary leads, as the member at %s:%d sees it", at->host, at->port);
		return NULL;
	}
	join->primary = one.member[0];
	return log_in(join, &join->primary);
}

/* The address of this host as the primary sees it. */
static bool
own_host(PGconn *conn, char *host, size_t size)
{
	struct sockaddr_storage address;
	socklen_t	length = sizeof(address);

	if (getsockname(PQsocket(conn), (struct sockaddr *) &address, &length) != 0)
		return false;
	if (address.ss_family == AF_INET)
		return inet_ntop(AF_INET, &((struct sockaddr_in *) &address)->sin_addr, host, (socklen_t) size) != NULL;
	return address.ss_family == AF_INET6 &&
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *) &address)->sin6_addr, host, (socklen_t) size) != NULL;
}

/* A node that is not on the list: where will the others reach it? */
static bool
take_address(PghaJoin *join, PGconn *conn)
{
	PghaSetup  *setup = &join->setup;
	char		host[PGHA_HOST_SIZE];
	int			port = setup->survey.port;
	const char *last;
	char	   *list;
	size_t		room;

	if (join->address == NULL)
	{
		if (!own_host(conn, host, sizeof(host)))
			return pgha_setup_refuse(setup, "Say it by --address.", "the address of this host cannot be told");
		(void) snprintf(join->own, sizeof(join->own), strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, port);
	}
	else
	{
		last = strrchr(join->address, ':');
		(void) snprintf(join->own, sizeof(join->own), last == NULL || strchr(last, ']') != NULL ? "%s:%d" : "%s", join->address, port);
	}
	join->adds = true;
	list = join->witness ? setup->witnesses : setup->members;
	room = sizeof(setup->members) - strlen(list);
	return snprintf(list + strlen(list), room, "%s%s=%s", list[0] != '\0' ? ", " : "", setup->node, join->own) < (int) room ||
		pgha_setup_refuse(setup, NULL, "the list of %s is too long", join->witness ? "witnesses" : "members");
}

/* A witness that is on the list already is where that says. */
static bool
take_witness(PghaJoin *join, PGconn *conn)
{
	PghaSetup  *setup = &join->setup;
	PghaMembers listed;
	char		error[512];
	int			self;

	if (!pgha_members_parse(setup->members, &listed, error, sizeof(error)) ||
		!pgha_witnesses_parse(setup->witnesses, &listed, error, sizeof(error)))
		return pgha_setup_refuse(setup, NULL, "what the member says of its cluster cannot be used: %s", error);
	self = pgha_voters_find(&listed, setup->node);
	if (self != PGHA_NOBODY && self < listed.count)
		return pgha_setup_refuse(setup, "Choose another name with --node.", "\"%s\" is a member already", setup->node);
	if (self == PGHA_NOBODY)
		return take_address(join, conn);
	(void) snprintf(join->own, sizeof(join->own), strchr(listed.member[self].host, ':') != NULL ? "[%s]:%d" : "%s:%d",
					listed.member[self].host, listed.member[self].port);
	return join->address == NULL || strcasecmp(join->address, join->own) == 0 ||
		pgha_setup_refuse(setup, "Leave out --host and --port, or choose another name with --node.",
						  "\"%s\" is a witness already, at %s", setup->node, join->own);
}

static bool
take_members(PghaJoin *join, PGconn *conn)
{
	PghaSetup  *setup = &join->setup;
	PghaMembers members;
	char		error[512];
	char		there[16];
	int			self;

	if (!ask(join, conn, "SELECT pg_catalog.current_setting('pgha.members')", NULL, setup->members, sizeof(setup->members)) ||
		!ask(join, conn, "SELECT pg_catalog.current_setting('pgha.witnesses')", NULL, setup->witnesses, sizeof(setup->witnesses)) ||
		!ask(join, conn, "SELECT pg_catalog.current_setting('pgha.cluster')", NULL, setup->cluster, sizeof(setup->cluster)) ||
		!ask(join, conn, "SELECT count(*) FROM pgha_cluster() WHERE node = $1::text AND reachable", setup->node, there, sizeof(there)))
		return false;
	if (!pgha_members_parse(setup->members, &members, error, sizeof(error)) || !pgha_fits_a_line(setup->members) ||
		!pgha_fits_a_line(setup->witnesses) || !pgha_name_valid(setup->cluster))
		return pgha_setup_refuse(setup, NULL, "what the member says of its cluster cannot be used");
	join->runs = there[0] != '0';
	if (join->witness)
		return take_witness(join, conn);
	self = pgha_members_find(&members, setup->node);
	if (self == PGHA_NOBODY && !take_address(join, conn))
		return false;
	if (self != PGHA_NOBODY && join->runs && !(setup->recorded && setup->record.made_data))
		return pgha_setup_refuse(setup, "Choose another name with --node.", "there is a node \"%s\" that runs", setup->node);
	if (!pgha_setup_take_members(setup))
		return false;
	return strcmp(setup->own->host, join->primary.host) != 0 || setup->own->port != join->primary.port ||
		pgha_setup_refuse(setup, "Say by --address where this one is.", "\"%s\" would have the address of the primary", setup->node);
}

/* A witness takes over no data, so that nothing has to be as large as theirs, and no address. */
static bool
concerns_witness(const char *setting)
{
	return strncmp(setting, "pgha.", 5) == 0 && strncmp(setting, "pgha.address=", 13) != 0 && strncmp(setting, "pgha.fence=", 11) != 0;
}

/* Those that the caller sets are his. */
static bool
take_settings(PghaJoin *join, PGconn *conn)
{
	PghaSetup  *setup = &join->setup;
	PGresult   *result;
	int			given = setup->setting_count;

	if (!ask(join, conn, "SELECT pg_catalog.current_setting('shared_preload_libraries')", NULL, setup->survey.preload, sizeof(setup->survey.preload)))
		return false;
	result = PQexec(conn, SHARED_SETTINGS);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		(void) pgha_setup_refuse(setup, NULL, "%s", PQresultErrorMessage(result));
		PQclear(result);
		return false;
	}
	for (int i = 0; i < PQntuples(result); i++)
	{
		char	   *one = strdup(PQgetvalue(result, i, 0));
		size_t		length = one != NULL ? strcspn(one, "=") + 1 : 0;
		bool		his = false;

		for (int j = 0; one != NULL && j < given; j++)
			his |= strncasecmp(setup->setting[j], one, length) == 0;
		his |= join->witness && one != NULL && !concerns_witness(one);
		if (one == NULL || (!his && !pgha_setup_add_setting(setup, one)))
		{
			PQclear(result);
			return pgha_setup_refuse(setup, NULL, "a setting of the member cannot be used");
		}
	}
	PQclear(result);
	return true;
}

/* What would keep the list from being written is found before anything is made. */
static bool
are_all_there(PghaJoin *join, PGconn *conn)
{
	char		missing[1024];

	if (!ask(join, conn, "SELECT pg_catalog.string_agg(node || CASE WHEN reachable THEN ' (no agent)' ELSE ' (does not answer)' END, ', ')"
			 " FROM pgha_cluster() WHERE NOT witness AND NOT (reachable AND coalesce(agent, false))", NULL, missing, sizeof(missing)))
		return false;
	pgha_shown(missing, false);
	return missing[0] == '\0' ||
		pgha_setup_refuse(&join->setup, "Start what is missing there: the agents write pgha.witnesses on all members.",
						  "not all members can be told of the witness: %s", missing);
}

bool
pgha_join_fetch(PghaJoin *join)
{
	PghaAddress at;
	PGconn	   *conn = take_from(join, &at) ? find_primary(join, &at) : NULL;
	bool		fetched;

	if (conn == NULL)
		return false;
	fetched = take_members(join, conn) && take_settings(join, conn) &&
		(!join->witness || !join->adds || are_all_there(join, conn));
	PQfinish(conn);
	return fetched;
}
