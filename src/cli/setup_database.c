/*
 * setup_database.c
 *		What of a node is in its database: the extension and the members' role.
 *
 * For `pgha create` and `pgha leave`.  All of a change is one transaction, as the
 * owner of the server, through its socket.
 */
#include "setup_database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/errors.h"

PGconn *
pgha_database_connect(PghaSetup *setup)
{
	char		sockets[1024];
	char	   *first = sockets;
	PGconn	   *conn;

	(void) snprintf(sockets, sizeof(sockets), "%s", setup->survey.sockets);
	first += strspn(first, " \"'");
	first[strcspn(first, ",\"'")] = '\0';
	if (first[0] == '\0')
	{
		(void) pgha_setup_refuse(setup, "Set unix_socket_directories.", "the server has no socket to log in through as its owner");
		return NULL;
	}
	conn = pgha_setup_connect(first, setup->survey.port, setup->error, sizeof(setup->error));
	if (conn == NULL)
	{
		pgha_shown(setup->error, false);
		(void) snprintf(setup->hint, sizeof(setup->hint), "\"%s\" must be a superuser of the server, and be let in by a line such as \"local all %s peer\" in pg_hba.conf.",
						setup->home.owner, setup->home.owner);
	}
	return conn;
}

static bool
ask(PghaSetup *setup, PGconn *conn, const char *query, char *value, size_t size)
{
	return pgha_setup_value(conn, query, NULL, value, size, setup->error, sizeof(setup->error));
}

bool
pgha_database_look(PghaSetup *setup, PghaFound *found)
{
	PGconn	   *conn = pgha_database_connect(setup);
	char		recovery[8];
	char		role[8];
	char		extension[8];
	char		super[8];
	char		available[8];
	char		others[16];
	char		node[PGHA_NAME_SIZE];
	bool		done;

	if (conn == NULL)
		return false;
	done = ask(setup, conn, "SELECT pg_is_in_recovery()", recovery, sizeof(recovery)) &&
		ask(setup, conn, "SELECT count(*) FROM pg_roles WHERE rolname = 'pgha'", role, sizeof(role)) &&
		ask(setup, conn, "SELECT count(*) FROM pg_extension WHERE extname = 'pgha'", extension, sizeof(extension)) &&
		ask(setup, conn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", super, sizeof(super)) &&
		ask(setup, conn, "SELECT count(*) FROM pg_available_extensions WHERE name = 'pgha'", available, sizeof(available)) &&
		ask(setup, conn, "SELECT current_setting('pgha.node', true)", node, sizeof(node)) &&
		ask(setup, conn, "SELECT count(*) FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name LIKE 'pgha\\_%'",
			others, sizeof(others));
	PQfinish(conn);
	if (!done)
		return false;
	found->recovery = recovery[0] == 't';
	found->role = role[0] == '1';
	found->extension = extension[0] == '1';
	found->others = atoi(others);
	found->at_work = node[0] != '\0' && setup->node != NULL && strcmp(node, setup->node) == 0;
	if (super[0] != 't')
		return pgha_setup_refuse(setup, NULL, "the role \"%s\" is no superuser of the server", setup->home.owner);
	return available[0] == '1' ||
		pgha_setup_refuse(setup, "Install it on this host.", "the extension pgha is not installed for the server on \"%s\"", setup->home.conf.data);
}

bool
pgha_database_is_empty(PghaSetup *setup)
{
	PGconn	   *conn = pgha_database_connect(setup);
	char		databases[16];
	char		relations[16];
	char		roles[16];
	bool		empty;

	if (conn == NULL)
		return false;
	empty = ask(setup, conn, "SELECT count(*) FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')", databases, sizeof(databases)) &&
		ask(setup, conn, "SELECT count(*) FROM (SELECT oid FROM pg_class UNION ALL SELECT oid FROM pg_proc UNION ALL SELECT oid FROM pg_namespace) o"
			" WHERE o.oid >= 16384", relations, sizeof(relations)) &&
		ask(setup, conn, "SELECT count(*) FROM pg_authid WHERE oid >= 16384", roles, sizeof(roles)) &&
		databases[0] == '0' && relations[0] == '0' && roles[0] == '0';
	PQfinish(conn);
	return empty;
}

/* All or nothing. */
static bool
execute_all(PghaSetup *setup, PGconn *conn, const char *const *queries)
{
	for (int i = 0; queries[i] != NULL; i++)
		if (!pgha_setup_execute(conn, queries[i], setup->error, sizeof(setup->error)))
			return false;
	return true;
}

bool
pgha_database_fill(PghaSetup *setup, const PghaFound *found)
{
	/* A commit must not wait for a standby that is not there any more. */
	static const char *const begin[] = {"BEGIN", "SET LOCAL synchronous_commit = local", "SET LOCAL client_min_messages = error", NULL};
	static const char *const extension[] = {"CREATE EXTENSION IF NOT EXISTS pgha", "ALTER EXTENSION pgha UPDATE", NULL};

	/* The extension is relocatable: its function may be in any schema. */
	static const char *const end[] = {
		"DO $$ BEGIN EXECUTE format('SELECT %I.pgha_setup_role(''pgha'')',"
		" (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pgha')); END $$",
		NULL};

	/* Hosts that may log in beforehand may also become members by themselves. */
	static const char *const allow[] = {
		"DO $$ DECLARE f regprocedure; BEGIN FOR f IN SELECT p.oid::regprocedure FROM pg_proc p"
		" JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'"
		" JOIN pg_extension e ON d.refobjid = e.oid AND e.extname = 'pgha' WHERE p.proname IN ('pgha_add_member', 'pgha_remove_member')"
		" LOOP EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pgha', f); END LOOP; END $$",
		NULL};
	static const char *const commit[] = {"COMMIT", NULL};
	PGconn	   *conn = pgha_database_connect(setup);
	bool		done;

	if (conn == NULL)
		return false;
	done = execute_all(setup, conn, begin) &&
		pgha_setup_role(conn, "pgha", setup->password, found->role, setup->error, sizeof(setup->error)) &&
		execute_all(setup, conn, extension) &&
		execute_all(setup, conn, end) &&
		(setup->allow == NULL || execute_all(setup, conn, allow)) &&
		execute_all(setup, conn, commit);
	PQfinish(conn);
	return done;
}

bool
pgha_database_drop(PghaSetup *setup, bool extension, bool role, bool slots)
{
	static const char *const drop_slots[] = {
		"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'pgha\\_%' AND slot_type = 'physical' AND NOT active",
		NULL};
	static const char *const drop_extension[] = {"DROP EXTENSION IF EXISTS pgha", NULL};
	static const char *const drop_role[] = {
		"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgha') THEN DROP OWNED BY pgha; DROP ROLE pgha; END IF; END $$", NULL};
	static const char *const begin[] = {"SET client_min_messages = error", "BEGIN", "SET LOCAL synchronous_commit = local", NULL};
	static const char *const commit[] = {"COMMIT", NULL};
	PGconn	   *conn = pgha_database_connect(setup);
	bool		done;

	if (conn == NULL)
		return false;
	done = (!slots || execute_all(setup, conn, drop_slots)) &&
		execute_all(setup, conn, begin) &&
		(!extension || execute_all(setup, conn, drop_extension)) &&
		(!role || execute_all(setup, conn, drop_role)) &&
		execute_all(setup, conn, commit);
	PQfinish(conn);
	return done;
}
