/*
 * witness_make.c
 *		The data directory of a witness: initdb, settings, who may log in, the role.
 *
 * For witness.c.  All of it is made in a directory that was missing or empty; what
 * goes wrong, or Ctrl-C, takes it away again.  The role is made by a first server
 * that listens in a directory of its own only; a second one, with the settings that
 * stay, shows that these can be started with.  No program is run through a shell,
 * and the password is in no command line: the server gets to see its verifier.
 */
#include "witness_make.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/errors.h"
#include "../host/durable.h"
#include "../host/running.h"
#include "setup_server.h"
#include "setup_text.h"

#define CONF_FILE			"pgha-witness.conf"
#define PASS_FILE			"pgha_pass"
#define LOG_FILE			"witness.log"

/* A server that has to hold nothing but votes. */
static const char small_settings[] =
"max_connections = 10\n"
"shared_buffers = 2MB\n"
"work_mem = 1MB\n"
"maintenance_work_mem = 1MB\n"
"max_locks_per_transaction = 10\n"
"max_pred_locks_per_transaction = 10\n"
"max_prepared_transactions = 0\n"
"max_replication_slots = 0\n"
"max_logical_replication_workers = 0\n"
"max_worker_processes = 2\n"
"max_parallel_workers = 0\n"
"autovacuum_max_workers = 1\n"
"autovacuum_naptime = 1h\n"
"checkpoint_timeout = 1h\n"
"min_wal_size = 2MB\n"
"max_wal_size = 8MB\n"
"huge_pages = off\n"
"jit = off\n";

/* ---- files ---- */

static bool
write_text(const PghaWitness *witness, const char *name, const PghaText *text, char *error, size_t error_size)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/%s", witness->data, name);
	return pgha_text_write(text, path, 0600, error, error_size);
}

/* The settings that stay, or those of the first server, which is no witness yet. */
static bool
write_settings(const PghaWitness *witness, const char *sockets, char *error, size_t error_size)
{
	static PghaText text;

	text.length = 0;
	pgha_text_put(&text, "# A witness of pgha, made by \"pgha witness init\".\n"
		"shared_preload_libraries = 'pgha'\n"
		"port = %d\nmax_wal_senders = %d\n%s", witness->port,
		witness->voters.voters < 8 ? 16 : 2 * witness->voters.voters, small_settings);
	if (sockets != NULL)
	{
		pgha_text_put(&text, "listen_addresses = ''\n");
		pgha_text_put_setting(&text, "unix_socket_directories", sockets);
		return write_text(witness, CONF_FILE, &text, error, error_size);
	}
	pgha_text_put_setting(&text, "listen_addresses", witness->listen);
	pgha_text_put(&text, "\n# As on the members.\n");
	pgha_text_put_setting(&text, "pgha.cluster", witness->cluster);
	pgha_text_put_setting(&text, "pgha.node", witness->node);
	pgha_text_put_setting(&text, "pgha.members", witness->members);
	pgha_text_put_setting(&text, "pgha.witnesses", witness->witnesses);
	if (witness->conninfo != NULL)
		pgha_text_put_setting(&text, "pgha.conninfo", witness->conninfo);
	else
	{
		char		conninfo[PGHA_CONNINFO_SIZE] = "user=pgha";
		char		path[PATH_MAX + 32];

		(void) snprintf(path, sizeof(path), "%s/%s", witness->data, PASS_FILE);
		if (!pgha_conninfo_add(conninfo, sizeof(conninfo), "passfile", path))
			return pgha_fail(error, error_size, "the path of the data directory is too long");
		pgha_text_put_setting(&text, "pgha.conninfo", conninfo);
	}
	for (int i = 0; i < witness->setting_count; i++)
		pgha_text_put_option(&text, witness->setting[i]);
	return write_text(witness, CONF_FILE, &text, error, error_size);
}

/* libpq's password file: a colon and a backslash are written with a backslash before. */
static bool
write_passfile(const PghaWitness *witness, char *error, size_t error_size)
{
	static PghaText text;
	bool		done;

	if (witness->conninfo != NULL)
		return true;
	text.length = 0;
	pgha_text_put_password(&text, witness->user, witness->password);
	done = write_text(witness, PASS_FILE, &text, error, error_size);
	explicit_bzero(&text, sizeof(text));
	return done;
}

/* Those who ask for the report, and the owner of the server on this host. */
static bool
write_hba(const PghaWitness *witness, char *error, size_t error_size)
{
	static PghaText text;

	text.length = 0;
	pgha_text_put(&text, "# TYPE DATABASE USER ADDRESS METHOD\n"
		"local all all peer\n"
		"# The members and witnesses, which read this one's report.\n");
	if (witness->allow != NULL)
		pgha_text_put_logins(&text, "replication", witness->user, witness->allow);
	for (int i = 0; witness->allow == NULL && i < witness->voters.voters; i++)
		pgha_text_put_login(&text, "replication", witness->user, witness->voters.member[i].host, strlen(witness->voters.member[i].host));
	return write_text(witness, "pg_hba.conf", &text, error, error_size);
}

static bool
include_settings(const PghaWitness *witness, char *error, size_t error_size)
{
	static PghaText text;
	char		path[PATH_MAX + 32];
	char	   *written;

	(void) snprintf(path, sizeof(path), "%s/postgresql.conf", witness->data);
	written = pgha_read_file(path, NULL);
	if (written == NULL)
		return pgha_fail(error, error_size, "could not read file \"%s\": %s", path, strerror(errno));
	text.length = 0;
	if (strlen(written) < sizeof(text.text) - 64)
		pgha_text_put(&text, "%s\ninclude '" CONF_FILE "'\n", written);
	else
		pgha_text_put(&text, "include '" CONF_FILE "'\n");
	free(written);
	return write_text(witness, "postgresql.conf", &text, error, error_size);
}

/* ---- programs ---- */

static bool
run_initdb(const PghaWitness *witness, const PghaAgentConf *conf, bool *ours, char *error, size_t error_size)
{
	static const char *const more[] = {"--encoding=UTF8", "--locale=C", "--wal-segsize=1", "--data-checksums", NULL};

	return pgha_setup_initdb(conf, witness->data, more, ours, error, error_size);
}

static bool
fill_database(const PghaWitness *witness, const char *sockets, char *error, size_t error_size)
{
	PGconn	   *conn = pgha_setup_connect(sockets, witness->port, error, error_size);
	bool		done;

	if (conn == NULL)
		return false;
	done = pgha_setup_execute(conn, "CREATE EXTENSION pgha", error, error_size) &&
		pgha_setup_role(conn, witness->user, witness->password, false, error, error_size);
	PQfinish(conn);
	return done;
}

/* ---- all of it ---- */

/* The first server: not seen by anybody, it makes what is in the database. */
static bool
make_role(const PghaWitness *witness, const PghaAgentConf *conf, char *error, size_t error_size)
{
	char		sockets[] = "/tmp/pgha-witness-XXXXXX";
	bool		done;

	if (mkdtemp(sockets) == NULL)
		return pgha_fail(error, error_size, "could not make a directory in /tmp: %s", strerror(errno));
	done = write_settings(witness, sockets, error, error_size) &&
		pgha_setup_start(conf, error, error_size) &&
		fill_database(witness, sockets, error, error_size) &&
		pgha_setup_stop(conf, error, error_size);
	if (!done)
	{
		char		ignored[256];

		(void) pgha_setup_stop(conf, ignored, sizeof(ignored));
	}
	(void) pgha_remove_tree(sockets, true);
	return done;
}

static bool
make(const PghaWitness *witness, PghaAgentConf *conf, bool start, bool *ours, char *error, size_t error_size)
{
	return run_initdb(witness, conf, ours, error, error_size) &&
		write_passfile(witness, error, error_size) &&
		write_hba(witness, error, error_size) &&
		include_settings(witness, error, error_size) &&
		make_role(witness, conf, error, error_size) &&
		write_settings(witness, NULL, error, error_size) &&
		pgha_setup_start(conf, error, error_size) &&
		(start || pgha_setup_stop(conf, error, error_size));
}

/* False with a sentence in `error` unless there is nothing, or an empty directory. */
static bool
is_free(const char *path, bool *exists, char *error, size_t error_size)
{
	DIR		   *directory = opendir(path);
	struct dirent *entry;
	bool		empty = true;

	*exists = directory != NULL;
	if (directory == NULL)
		return errno == ENOENT ||
			pgha_fail(error, error_size, "directory \"%s\" cannot be used: %s", path, strerror(errno));
	errno = 0;
	while ((entry = readdir(directory)) != NULL)
		empty &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	empty &= errno == 0;
	(void) closedir(directory);
	return empty ||
		pgha_fail(error, error_size, pgha_exists_in(path, CONF_FILE) ? "directory \"%s\" is a witness already" :
				  "directory \"%s\" is not empty", path);
}

static bool
find_server(const PghaWitness *witness, PghaAgentConf *conf, char *error, size_t error_size)
{
	if (!pgha_setup_find_programs(conf, error, error_size))
		return false;
	(void) snprintf(conf->data, sizeof(conf->data), "%s", witness->data);
	return (snprintf(conf->config_file, sizeof(conf->config_file), "%s/postgresql.conf", witness->data) < (int) sizeof(conf->config_file) &&
			snprintf(conf->server_log, sizeof(conf->server_log), "%s/" LOG_FILE, witness->data) < (int) sizeof(conf->server_log)) ||
		pgha_fail(error, error_size, "the path of the data directory is too long");
}

bool
pgha_witness_is_made(const PghaWitness *witness)
{
	char		path[PATH_MAX + 32];
	char		line[PGHA_NAME_SIZE + 32];
	char	   *text;
	bool		made;

	(void) snprintf(path, sizeof(path), "%s/" CONF_FILE, witness->data);
	(void) snprintf(line, sizeof(line), "\npgha.node = '%s'\n", witness->node);
	text = pgha_read_file(path, NULL);
	made = text != NULL && strstr(text, line) != NULL;
	free(text);
	return made;
}

bool
pgha_witness_start(const PghaWitness *witness, char *error, size_t error_size)
{
	static PghaAgentConf conf;
	char		why[1024];
	pid_t		pid;
	PghaRuns	runs = pgha_runs(witness->data, &pid, why, sizeof(why));

	if (runs == PGHA_RUNS_UNKNOWN)
		return pgha_fail(error, error_size, "it cannot be told whether the witness runs: %s", why);
	if (runs == PGHA_RUNS_YES)
		return true;
	pgha_setup_catch_signals();
	pgha_setup_forget_environment();
	return find_server(witness, &conf, error, error_size) && pgha_setup_start(&conf, error, error_size);
}

bool
pgha_witness_make(const PghaWitness *witness, bool start, bool *left, char *error, size_t error_size)
{
	static PghaAgentConf conf;
	char		ignored[256];
	bool		existed;
	bool		ours = false;

	*left = false;
	if (!is_free(witness->data, &existed, error, error_size) || !find_server(witness, &conf, error, error_size))
		return false;

	pgha_setup_catch_signals();
	pgha_setup_forget_environment();
	if (make(witness, &conf, start, &ours, error, error_size))
		return true;
	if (pgha_setup_interrupted(NULL))
		(void) pgha_fail(error, error_size, "interrupted");

	/*
	 * What was free before is free again; but not under a server that does not end, and
	 * not what somebody else has made there meanwhile.
	 */
	*left = ours && !(pgha_setup_stop(&conf, ignored, sizeof(ignored)) && pgha_remove_tree(witness->data, !existed));
	return false;
}
