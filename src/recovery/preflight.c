/*
 * preflight.c
 *		What would make a clone fail, found out before anything is touched.
 *
 * A base backup needs two connections for replication at a time and a slot; a
 * tool of the administrator's has a check of its own, pgha.clone_check.  It can
 * still fail later; what fails always is told while the node has its data.
 */
#include "preflight.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leader.h"

/* By pg_basebackup: one for the files, one for the WAL. */
#define CONNECTIONS		2

#define CHECK_LIMIT_MS	600000

static bool
refused(PghaJobRun *run, const char *error)
{
	const char *name = run->conf->members.member[run->leader].name;

	if (strstr(error, "max_wal_senders") != NULL)
		return pgha_job_fail(run, STATE_CONNECTION, error, "Raise max_wal_senders there, or end what uses them up.",
							 "the primary \"%s\" has no connections for replication left", name);
	return pgha_job_fail(run, STATE_CONNECTION, error,
						 "See that pg_hba.conf there lets the role of pgha.conninfo connect for replication, and that it has REPLICATION.",
						 "could not connect to the primary \"%s\" for replication", name);
}

/* Is it the cluster that the plan was made for? */
static bool
identify(PghaJobRun *run, const PghaClonePlan *plan, PGconn *conn)
{
	PGresult   *result = PQexec(conn, "IDENTIFY_SYSTEM");
	bool		answered = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
	bool		same = answered && strtoull(PQgetvalue(result, 0, 0), NULL, 10) == plan->system_identifier;
	char		error[512];

	(void) snprintf(error, sizeof(error), "%s", PQresultErrorMessage(result));
	error[strcspn(error, "\n")] = '\0';
	PQclear(result);
	if (same)
		return true;
	return answered ? pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, NULL, "the primary has another system identifier than a moment ago") :
		refused(run, error);
}

/* As pg_basebackup will have them: at the same time. */
static bool
check_connections(PghaJobRun *run, const PghaClonePlan *plan)
{
	PGconn	   *conn[CONNECTIONS] = {NULL};
	char		error[512];
	bool		good = true;

	for (int i = 0; i < CONNECTIONS && good; i++)
	{
		conn[i] = pgha_job_connect(run, run->leader, "replication=true " PGHA_MEMBER_TCP, error, sizeof(error));
		good = conn[i] != NULL ? identify(run, plan, conn[i]) : refused(run, error);
	}
	for (int i = 0; i < CONNECTIONS; i++)
		PQfinish(conn[i]);
	return good;
}

/* Without a slot of this node's it makes a temporary one. */
static bool
check_slot(PghaJobRun *run, const PghaClonePlan *plan, PGconn *leader)
{
	char		error[512];
	char	   *left;
	bool		none;

	if (plan->slot[0] != '\0')
		return true;
	left = pgha_member_query(leader, "SELECT pg_catalog.current_setting('max_replication_slots')::bigint >"
							 " (SELECT count(*) FROM pg_catalog.pg_replication_slots)", NULL, error, sizeof(error));
	if (left == NULL)
		return pgha_job_fail(run, STATE_CONNECTION, error, NULL, "could not ask the primary for its replication slots");
	none = strcmp(left, "t") != 0;
	free(left);
	return !none ||
		pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Raise max_replication_slots there, or drop those that nobody uses.",
					  "the primary \"%s\" has no replication slot left", run->conf->members.member[run->leader].name);
}

static bool
check_program(PghaJobRun *run)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/pg_basebackup", run->conf->bin);
	return access(path, X_OK) == 0 ||
		pgha_job_fail(run, STATE_UNDEFINED_FILE, NULL, "Install PostgreSQL's client programs.",
					  "program \"%s\" cannot be run: %s", path, strerror(errno));
}

/* The administrator's tool: does it have what it would restore? */
static bool
check_command(PghaJobRun *run, const PghaClonePlan *plan)
{
	char		error[256];
	PghaRun		program = {.limit_ms = CHECK_LIMIT_MS, .cancelled = pgha_job_cancelled, .arg = run};
	int			status;

	if (run->conf->clone_check[0] == '\0')
		return !plan->in_place || !run->data_ok || access(run->conf->data, F_OK) != 0 ||
			pgha_job_fail(run, STATE_NOT_IN_STATE, "It is not known whether pgha.clone_command has anything to restore.",
						  "Set pgha.clone_check to a command that succeeds only if it has.",
						  "the data directory is not given up for pgha.clone_command without pgha.clone_check");
	program.argv = pgha_clone_argv(run, plan, run->conf->clone_check, error, sizeof(error));
	if (program.argv == NULL)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, error, NULL, "pgha.clone_check cannot be read");
	status = pgha_run(&program);
	free(program.argv);
	if (status == 0)
		return true;
	if (program.was_cancelled)
		return pgha_job_fail(run, STATE_CANCELLED, NULL, NULL, "cancelled while running pgha.clone_check");
	return pgha_job_program_failed(run, &program, "See that pgha.clone_command has a backup to restore.",
								   "pgha.clone_check failed with status %d: nothing has been changed", status);
}

/* Can the directories be written to that the copies go into? */
static bool
check_places(PghaJobRun *run, const PghaClonePlan *plan)
{
	for (int i = 0; i <= plan->count; i++)
	{
		const char *root = i < plan->count ? plan->tablespace[i].root : plan->wal.root;

		if (root[0] != '\0' && access(root, W_OK | X_OK) != 0)
			return pgha_job_fail(run, STATE_IO, NULL, "Give it to the owner of the data directory.",
								 "directory \"%s\" cannot be written to: %s", root, strerror(errno));
	}
	return true;
}

bool
pgha_preflight(PghaJobRun *run, const PghaClonePlan *plan, PGconn *leader)
{
	if (!check_places(run, plan))
		return false;
	if (run->conf->clone_command[0] != '\0')
		return check_command(run, plan);
	return check_program(run) && check_connections(run, plan) && check_slot(run, plan, leader);
}
