/*
 * agent_conf.h
 *		What the agent reads from the server's configuration files, without a server.
 */
#ifndef PGHA_HOST_CONF_H
#define PGHA_HOST_CONF_H

#include <limits.h>
#include <stdbool.h>

#include "../common/address_spec.h"
#include "../common/conninfo.h"
#include "../common/event_kind.h"
#include "../common/listen.h"
#include "../common/members.h"
#include "conf_lines.h"

#define PGHA_COMMAND_SIZE	2048
#define PGHA_ENDPOINT_SIZE	512
#define PGHA_MAX_CONF_FILES	64

typedef enum PghaAutoRejoin
{
	PGHA_REJOIN_OFF,
	PGHA_REJOIN_REWIND,
	PGHA_REJOIN_CLONE
} PghaAutoRejoin;

/* Where a setting stands that counts; line 0: nowhere. */
typedef struct PghaConfPlace
{
	char		file[PATH_MAX];	/* as it was named in the including one */
	int			line;			/* from 1 */
} PghaConfPlace;

typedef struct PghaAgentConf
{
	/* where things are; absolute paths without symbolic links in the last component */
	char		data[PATH_MAX]; /* PGDATA; need not exist yet */
	char		config_file[PATH_MAX];	/* postgresql.conf */
	bool		saved;			/* read from the copies in the agent's directory: PGDATA is not whole */
	bool		config_outside; /* it is not inside of data: the server must be told of it */
	char		bin[PATH_MAX];	/* PostgreSQL's programs: the directory of this program */
	char		directory[PATH_MAX];	/* pgha.agent_directory */

	/* pgha.* */
	char		cluster[64];
	PghaMembers members;
	int			self;			/* index of pgha.node */
	bool		witness;		/* it is one of the witnesses, behind the members */
	char		conninfo[PGHA_CONNINFO_SIZE];	/* pgha.conninfo */
	PghaAutoRejoin auto_rejoin;
	bool		clone_in_place;
	bool		keep_old_data;
	char		start_command[PGHA_COMMAND_SIZE];
	char		stop_command[PGHA_COMMAND_SIZE];
	char		server_log[PATH_MAX];	/* pgha.server_log; empty: see server_log.h */
	char		clone_command[PGHA_COMMAND_SIZE];
	char		clone_check[PGHA_COMMAND_SIZE];
	char		pgpool[PGHA_COMMAND_SIZE];
	char		pgpool_user[256];
	char		pgpool_passfile[PATH_MAX];
	int			failure_timeout_ms;
	char		address[PGHA_ADDRESS_TEXT_SIZE];	/* pgha.address as written */
	PghaAddressSpec address_spec;
	char		ec2_endpoint[PGHA_ENDPOINT_SIZE];
	char		imds_endpoint[PGHA_ENDPOINT_SIZE];
	bool		ec2_insecure;	/* ec2_endpoint may be http:// */
	char		notify_command[PGHA_COMMAND_SIZE];
	PghaEventKinds notify_events;
	int			notify_timeout_ms;
	bool		log_json;		/* pgha.agent_log_format = json */
	bool		fence_by_ec2;	/* pgha.fence = ec2-stop */
	int			fence_timeout_ms;
	char		http[1024];		/* pgha.http as written; empty: none */
	PghaListen	http_listen;
	char		http_tls_cert[PATH_MAX];	/* both empty: without TLS */
	char		http_tls_key[PATH_MAX];

	/* where those stand that change with the members (conf_edit.c) */
	PghaConfPlace	node_at;
	PghaConfPlace	members_at;
	PghaConfPlace	witnesses_at;

	/* PostgreSQL's */
	char		restore_command[PGHA_COMMAND_SIZE];
	int			file_count;		/* files that were read: config_file, its includes, postgresql.auto.conf; and that it names */
	char	   *file[PGHA_MAX_CONF_FILES];
} PghaAgentConf;

/*
 * Reads the configuration.  `data` is -D (NULL: data_directory of the file),
 * `config_file` is --config (NULL: postgresql.conf in `data`).  Later settings
 * win, postgresql.auto.conf last, names are case-insensitive; include,
 * include_dir and include_if_exists are followed as PostgreSQL does.  False
 * with a sentence in `error` that names file and line and says what to write;
 * *conf is then to be thrown away.
 */
extern bool pgha_agent_conf_read(const char *data, const char *config_file,
								 PghaAgentConf *conf, char *error, size_t error_size);

/* The same with the text of the file `instead` in the place of `file`, which is one that was read before. */
extern bool pgha_agent_conf_read_with(const char *data, const char *config_file,
									  const char *file, const char *instead,
									  PghaAgentConf *conf, char *error, size_t error_size);

/*
 * The same; puts into *faults whatever a server would refuse at its start with these
 * files, whether the agent needs it or not, also what `error` says, each with file and line.
 */
extern bool pgha_agent_conf_read_checked(const char *data, const char *config_file, PghaAgentConf *conf,
										 PghaConfFaults *faults, char *error, size_t error_size);

/* What it takes to reach this host's server and the other members: nothing of it is demanded. */
typedef struct PghaLocalConf
{
	char		data[PATH_MAX]; /* PGDATA; empty: not known */
	char		config_file[PATH_MAX];
	char		socket[PATH_MAX];	/* the first of unix_socket_directories; empty: libpq's default */
	bool		no_socket;		/* unix_socket_directories is empty */
	int			port;
	char		node[PGHA_NAME_SIZE];	/* pgha.node; empty: pgha does not manage it */
	PghaMembers members;		/* and witnesses; none if they cannot be read */
	char		conninfo[PGHA_CONNINFO_SIZE];	/* pgha.conninfo */
	char		address[PGHA_ADDRESS_TEXT_SIZE];	/* pgha.address as written */
} PghaLocalConf;

/*
 * Reads that as pgha_agent_conf_read() does, and as far as this user may: a
 * postgresql.auto.conf that cannot be read is left out.
 */
extern bool pgha_local_conf_read(const char *data, const char *config_file,
								 PghaLocalConf *conf, char *error, size_t error_size);

/* Frees what *conf points to. */
extern void pgha_agent_conf_free(PghaAgentConf *conf);

#endif							/* PGHA_HOST_CONF_H */
