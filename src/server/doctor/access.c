/*
 * access.c
 *		Checks of pgha_doctor() on who is let in: addresses, the role of
 *		pgha.conninfo, its password file, pg_hba.conf.
 *
 * Of pgha.conninfo the role's name, the database and the place of the password
 * file are told, nothing else.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/builtins.h"

#include "../config.h"
#include "checks.h"

/* The role that the members log in as, quoted as a literal; NULL: left to libpq. */
static const char *
role_literal(void)
{
	const char *role = PghaDoctorConninfo("user");

	return role != NULL && *role != '\0' ? quote_literal_cstr(role) : NULL;
}

/* The database that agents and "pgha status" use. */
static const char *
agent_database(void)
{
	const char *name = PghaDoctorConninfo("dbname");

	return name != NULL && *name != '\0' ? name : "postgres";
}

static bool
is_numeric_address(const char *host)
{
	unsigned char address[16];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static bool
is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || pg_strcasecmp(host, "localhost") == 0;
}

/* ---- this server's address ---- */

static void
check_own_address(PghaDoctor *doctor)
{
	const PghaAddress *own = &doctor->view->members.member[doctor->view->settings.self];
	const char *listen = PghaDoctorSetting("listen_addresses");

	if (*listen == '\0' || (!is_loopback(own->host) && is_loopback(listen) && strchr(listen, ',') == NULL))
		PghaDoctorFind(doctor, PGHA_ERROR,
					   psprintf("Write listen_addresses = '%s' or '*', and restart the server.", own->host),
					   "listen_addresses is \"%s\": other hosts cannot reach this node, whose address is %s", listen, own->host);
	else if (own->port != PostPortNumber)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   psprintf("Unless ports are translated on the way: write port %d for this node into pgha.members on every node.", PostPortNumber),
					   "this server listens on port %d, but pgha.members says %d", PostPortNumber, own->port);
	else if (doctor->view->members.count > 1 && is_loopback(own->host) &&
			 !is_loopback(doctor->view->members.member[doctor->view->settings.self == 0 ? 1 : 0].host))
		PghaDoctorFind(doctor, PGHA_ERROR, "Write an address that all members can reach, the same on every node.",
					   "this node's address in pgha.members is %s, which the others take for their own host", own->host);
	else
		PghaDoctorFine(doctor, "listen_addresses is \"%s\", port %d, as pgha.members says", listen, PostPortNumber);
}

/* ---- the role ---- */

static void
check_role(PghaDoctor *doctor)
{
	const char *literal = role_literal();
	const char *setup;

	if (literal == NULL)
	{
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Write pgha.conninfo = 'user=pgha ...' on every node, run SELECT pgha_setup_role('pgha'), and reload.",
					   "pgha.conninfo names no user: the members log in as the operating system's user");
		return;
	}
	setup = psprintf("Run SELECT pgha_setup_role(%s); on the primary.", literal);
	if (PghaDoctorQuery("SELECT rolcanlogin, rolreplication, rolsuper, coalesce(rolvaliduntil < now(), false),"
						" rolvaliduntil, rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = %s", literal) == 0)
	{
		PghaDoctorFind(doctor, PGHA_ERROR, setup, "the role %s of pgha.conninfo does not exist", literal);
		return;
	}
	if (!PghaDoctorTrue(0, 0) || !PghaDoctorTrue(0, 1))
		PghaDoctorFind(doctor, PGHA_ERROR, setup, "the role %s of pgha.conninfo lacks %s", literal,
					   PghaDoctorTrue(0, 0) ? "REPLICATION" : "LOGIN");
	if (PghaDoctorTrue(0, 2))
		PghaDoctorFind(doctor, PGHA_WARNING,
					   psprintf("Make a role of its own for pgha: SELECT pgha_setup_role('pgha'); and write user=pgha into pgha.conninfo."),
					   "the role %s of pgha.conninfo is a superuser: whoever reads its password owns all nodes", literal);
	if (PghaDoctorTrue(0, 3))
		PghaDoctorFind(doctor, PGHA_ERROR, "Run ALTER ROLE ... VALID UNTIL 'infinity' on the primary.",
					   "the password of role %s is valid until %s only", literal, PghaDoctorField(0, 4));
	if (strcmp(PghaDoctorField(0, 5), "-1") != 0)
		PghaDoctorFind(doctor, PGHA_WARNING, "Run ALTER ROLE ... CONNECTION LIMIT -1 on the primary.",
					   "the role %s may have %s connections at a time only", literal, PghaDoctorField(0, 5));
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "%s may log in and replicate", literal);
}

/* What pgha_setup_role() grants; functions by their signature in pg_catalog. */
static void
check_role_grants(PghaDoctor *doctor)
{
	const char *literal = role_literal();
	const char *database = agent_database();

	if (literal == NULL || strcmp(get_database_name(MyDatabaseId), database) != 0 ||
		PghaDoctorQuery("SELECT FROM pg_catalog.pg_roles WHERE rolname = %s", literal) == 0)
		return;					/* grants on functions are a database's own */
	if (PghaDoctorQuery(
			"SELECT string_agg(what, ', ') FROM ("
			" SELECT 'membership in pg_monitor' AS what WHERE NOT pg_has_role(%1$s, 'pg_monitor', 'MEMBER')"
			" UNION ALL"
			" SELECT 'EXECUTE on ' || p.oid::regprocedure FROM pg_catalog.pg_proc p"
			"  WHERE p.oid IN ('pg_catalog.pg_ls_dir(text,boolean,boolean)'::regprocedure,"
			"   'pg_catalog.pg_stat_file(text,boolean)'::regprocedure,"
			"   'pg_catalog.pg_read_binary_file(text)'::regprocedure,"
			"   'pg_catalog.pg_read_binary_file(text,bigint,bigint,boolean)'::regprocedure)"
			"  AND NOT has_function_privilege(%1$s, p.oid, 'EXECUTE')"
			" UNION ALL"
			" SELECT 'EXECUTE on ' || p.proname FROM pg_catalog.pg_extension e"
			"  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid"
			"   AND d.classid = 'pg_proc'::regclass"
			"  JOIN pg_catalog.pg_proc p ON p.oid = d.objid"
			"  WHERE e.extname = 'pgha' AND p.proname IN ('pgha_agent_poll', 'pgha_agent_event')"
			"   AND NOT has_function_privilege(%1$s, p.oid, 'EXECUTE')"
			" UNION ALL"
			" SELECT 'USAGE on schema ' || n.nspname FROM pg_catalog.pg_extension e"
			"  JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
			"  WHERE e.extname = 'pgha' AND NOT has_schema_privilege(%1$s, n.oid, 'USAGE')"
			") missing HAVING count(*) > 0", literal) > 0)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   psprintf("Run SELECT pgha_setup_role(%s); in database \"%s\" on the primary.", literal, database),
					   "role %s lacks what agent, pg_rewind and \"pgha status\" need: %s", literal, PghaDoctorField(0, 0));
	else
		PghaDoctorFine(doctor, "%s has what pgha_setup_role() grants", literal);
}

/* libpq uses no password file that others may read. */
static void
check_passfile(PghaDoctor *doctor)
{
	const char *path = PghaDoctorConninfo("passfile");
	struct stat st;

	if (path == NULL || *path == '\0')
		PghaDoctorFine(doctor, "pgha.conninfo names none");
	else if (stat(path, &st) != 0 || access(path, R_OK) != 0)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   psprintf("Create it, owned by the server's user, mode 0600, with a line *:*:*:ROLE:PASSWORD."),
					   "the password file \"%s\" of pgha.conninfo cannot be read: %m", path);
	else if (!S_ISREG(st.st_mode) || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		PghaDoctorFind(doctor, PGHA_ERROR, psprintf("Run chmod 0600 \"%s\".", path),
					   "the password file \"%s\" has mode %04o: libpq does not use it", path,
					   (unsigned) (st.st_mode & 07777));
	else
		PghaDoctorFine(doctor, "\"%s\" is there, mode %04o", path, (unsigned) (st.st_mode & 07777));
}

/* ---- pg_hba.conf ---- */

/* The first line that matches; `database` is a condition on the array of that name. */
static bool
first_line(const char *literal, const char *host, const char *database)
{
	return PghaDoctorQuery(
		"SELECT r.line_number, r.auth_method FROM pg_catalog.pg_hba_file_rules() r"
		" WHERE r.error IS NULL AND r.type <> 'local' AND (%s)"
		" AND ('all' = ANY (r.user_name) OR %s = ANY (r.user_name)"
		"  OR EXISTS (SELECT FROM unnest(r.user_name) u WHERE u LIKE '/%%')"
		"  OR EXISTS (SELECT FROM unnest(r.user_name) u JOIN pg_catalog.pg_roles g ON u = '+' || g.rolname"
		"   WHERE pg_has_role(%s, g.oid, 'MEMBER')))"
		" AND CASE WHEN r.netmask IS NULL THEN true"	/* all, samehost, samenet, a name */
		"  WHEN family(r.address::inet) <> family(%s::inet) THEN false"
		"  ELSE (r.address::inet & r.netmask::inet) = (%s::inet & r.netmask::inet) END"
		" ORDER BY r.line_number LIMIT 1",
		database, literal, literal, quote_literal_cstr(host), quote_literal_cstr(host)) > 0;
}

/* Addresses of the first `count` members and witnesses that no line lets in, or that one refuses. */
static void
check_lines(PghaDoctor *doctor, int count, const char *what, const char *condition, const char *example)
{
	const PghaView *view = doctor->view;
	const char *literal = role_literal();

	for (int i = 0; i < count; i++)
	{
		const char *host = view->members.member[i].host;
		const char *remedy;

		if (!is_numeric_address(host))
			continue;
		remedy = psprintf("Add to pg_hba.conf, before other lines that match, and reload: host %s %s %s/%d scram-sha-256",
						  example, PghaDoctorConninfo("user"), host, strchr(host, ':') != NULL ? 128 : 32);
		if (!first_line(literal, host, condition))
			PghaDoctorFind(doctor, PGHA_WARNING, remedy,
						   "no line of pg_hba.conf lets role %s in from %s (\"%s\") for %s",
						   literal, host, view->members.member[i].name, what);
		else if (strcmp(PghaDoctorField(0, 1), "reject") == 0)
			PghaDoctorFind(doctor, PGHA_WARNING, remedy,
						   "line %s of pg_hba.conf rejects role %s from %s (\"%s\") for %s", PghaDoctorField(0, 0),
						   literal, host, view->members.member[i].name, what);
	}
}

static void
check_hba(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	const char *literal = role_literal();
	const char *database = agent_database();
	int			rows;

	if (literal == NULL ||
		PghaDoctorQuery("SELECT WHERE has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE')"
						" AND EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %s)", literal) == 0)
		return;
	rows = PghaDoctorQuery("SELECT line_number, error FROM pg_catalog.pg_hba_file_rules() WHERE error IS NOT NULL");
	if (rows > 0)
		PghaDoctorFind(doctor, PGHA_ERROR, "Correct the line, and reload; the server does not start with it.",
					   "line %s of pg_hba.conf: %s", PghaDoctorField(0, 0), PghaDoctorField(0, 1));
	check_lines(doctor, view->members.voters - view->settings.leaving, "replication", "'replication' = ANY (r.database)", "replication");

	/* No agent logs in to a witness. */
	if (view->settings.self >= view->members.count)
	{
		if (doctor->findings == 0)
			PghaDoctorFine(doctor, "role %s is let in from all members' and witnesses' addresses, for replication", literal);
		return;
	}
	check_lines(doctor, view->members.count, psprintf("database \"%s\", which agents use", database),
				psprintf("'all' = ANY (r.database) OR %s = ANY (r.database)"
						 " OR EXISTS (SELECT FROM unnest(r.database) d WHERE d LIKE '/%%')",
						 quote_literal_cstr(database)), database);
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "role %s is let in from all members' addresses, for replication and for database \"%s\"",
					   literal, database);
}

const PghaCheck pgha_checks_access[] = {
	{"own_address", PGHA_NEEDS_VIEW, check_own_address},
	{"role", PGHA_NEEDS_OTHERS, check_role},
	{"role_grants", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_role_grants},
	{"passfile", PGHA_NEEDS_VIEW, check_passfile},
	{"pg_hba", PGHA_NEEDS_OTHERS, check_hba},
	{NULL, 0, NULL}
};
