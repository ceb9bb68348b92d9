/*
 * conf.c
 *		What the agent was told: its options, and the configuration, read again
 *		when a file has changed.
 *
 * How postgresql.conf is read is host/conf.c.  A configuration that cannot be
 * used never takes the place of one that can.
 */
#include "conf.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../common/log.h"
#include "../common/passfile.h"
#include "../common/program.h"
#include "../host/server_log.h"
#include "../web/web.h"

#define CONF_EVERY_MS		3000

/* ---- options ---- */

int
pgha_agent_options(int argc, char **argv, PghaAgentOptions *options)
{
	static const struct option known[] = {
		{"pgdata", required_argument, NULL, 'D'},
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'n'},
		{NULL, 0, NULL, 0}
	};
	int			c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":D:c:", known, NULL)) != -1)
	{
		switch (c)
		{
			case 'D':
				options->data = optarg;
				break;
			case 'c':
				options->config = optarg;
				break;
			case 'n':
				options->check = true;
				break;
			case ':':
				return pgha_usage_error(argv[0], "option \"%s\" needs a value", argv[optind - 1]);
			default:
				return pgha_usage_error(argv[0], "\"%s\" is not an option of \"pgha agent\"", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return pgha_usage_error(argv[0], "too many arguments, the first of them \"%s\"", argv[optind]);
	if (options->data == NULL && options->config == NULL)
		options->data = getenv("PGDATA");
	if (options->data == NULL && options->config == NULL)
		return pgha_usage_error(argv[0], "neither -D nor --config is given, and PGDATA is not set");
	return EXIT_OK;
}

void
pgha_agent_options_resolve(PghaAgentOptions *options, const PghaAgentConf *conf)
{
	if (options->config != NULL)
		options->config = strdup(conf->config_file);
	if (options->config != NULL && options->data != NULL)
		options->data = strdup(conf->data);
	else if (options->config == NULL)
		options->data = strndup(conf->config_file, (size_t) (strrchr(conf->config_file, '/') - conf->config_file));
}

/* ---- the configuration ---- */

static void
print_conf(const PghaAgentConf *conf)
{
	static const char *const rejoin[] = {"off", "rewind", "clone"};
	char		log[PATH_MAX];

	printf("node              %s%s\n", conf->members.member[conf->self].name,
		   conf->witness ? " (a witness: the agent only writes lists of members)" : "");
	printf("data directory    %s\n", conf->data);
	printf("configuration     %s%s\n", conf->config_file, conf->config_outside ? " (outside of the data directory)" : "");
	printf("agent directory   %s\n", conf->directory);
	printf("programs          %s\n", conf->bin);
	printf("members          ");
	for (int i = 0; i < conf->members.count; i++)
		printf(" %s=%s:%d", conf->members.member[i].name, conf->members.member[i].host, conf->members.member[i].port);
	printf("\nauto_rejoin       %s\n", rejoin[conf->auto_rejoin]);
	printf("clone_in_place    %s\n", conf->clone_in_place ? "on" : "off");
	printf("start_command     %s\n", conf->start_command[0] != '\0' ? conf->start_command : "(the agent's own way)");
	printf("stop_command      %s\n", conf->stop_command[0] != '\0' ? conf->stop_command : "(the agent's own way)");
	pgha_server_log_path(conf, log);
	printf("server_log        %s%s\n", log, conf->server_log[0] == '\0' && conf->start_command[0] != '\0' ?
		   " (unless the start_command chooses)" : "");
	printf("clone_command     %s\n", conf->clone_command[0] != '\0' ? conf->clone_command : "(pg_basebackup)");
	printf("pgpool            %s\n", conf->pgpool[0] != '\0' ? conf->pgpool : "(none)");
	printf("address           %s\n", conf->address[0] != '\0' ? conf->address : "(none)");
	printf("notify_command    %s\n", conf->notify_command[0] != '\0' ? conf->notify_command : "(none)");
	printf("log_format        %s\n", conf->log_json ? "json" : "text");
	printf("fence             %s\n", conf->fence_by_ec2 ? "ec2-stop" : "off");
	pgha_web_print(conf);
}

int
pgha_agent_conf_check(const PghaAgentOptions *options)
{
	static PghaConfFaults faults;
	PghaAgentConf conf;
	char		error[512];

	if (pgha_agent_conf_read_checked(options->data, options->config, &conf, &faults, error, sizeof(error)))
	{
		print_conf(&conf);
		pgha_agent_conf_free(&conf);
	}
	(void) fflush(stdout);
	for (int i = 0; i < faults.count; i++)
		pgha_error(stderr, NULL, "%s", faults.text[i]);
	return faults.count > 0 ? EXIT_USAGE : EXIT_OK;
}

/* Says what the server would refuse, once, until it changes.  The agent can do without it. */
static void
tell_faults(const PghaConfFaults *faults)
{
	static char told[PGHA_FAULT_SIZE] = "";
	static int	count = 0;

	if (faults->count > 0 && (faults->count != count || strcmp(faults->text[0], told) != 0))
		for (int i = 0; i < faults->count; i++)
			pgha_agent_warning("the server would refuse its next start: %s", faults->text[i]);
	count = faults->count;
	(void) snprintf(told, sizeof(told), "%s", count > 0 ? faults->text[0] : "");
}

/* The same of a password file that libpq does not use; what libpq says of it is dropped. */
static void
tell_passfile(const PghaAgentConf *conf)
{
	static char told[400] = "";
	char		error[400] = "";

	if (pgha_passfile_is_open(conf->conninfo, error, sizeof(error)) && strcmp(error, told) != 0)
		pgha_agent_warning("%s: chmod 0600", error);
	(void) snprintf(told, sizeof(told), "%s", error);
}

bool
pgha_agent_conf_first(const PghaAgentOptions *options, PghaAgentConf *conf)
{
	static PghaConfFaults faults;
	char		error[512];

	if (!pgha_agent_conf_read_checked(options->data, options->config, conf, &faults, error, sizeof(error)))
	{
		for (int i = 0; i < faults.count; i++)
			pgha_error(stderr, NULL, "%s", faults.text[i]);
		return false;
	}
	tell_faults(&faults);
	tell_passfile(conf);
	return true;
}

/* Sum of the times at which the files were changed: differs when one has. */
static int64_t
files_stamp(const PghaAgentConf *conf)
{
	int64_t		stamp = 0;

	for (int i = 0; i < conf->file_count; i++)
	{
		struct stat st;

		if (stat(conf->file[i], &st) == 0)
			stamp = stamp * 31 + st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000 + (int64_t) st.st_ino;
	}
	return stamp;
}

PghaReload
pgha_agent_conf_reload(PghaAgentConf *conf, const PghaAgentOptions *options, bool told, bool busy, int64_t now)
{
	static int64_t next = 0;
	static int64_t stamp = 0;
	static char complaint[512] = "";
	PghaAgentConf fresh;
	static PghaConfFaults faults;
	PghaReload	result = PGHA_RELOAD_READ;
	char		error[512];

	if (!told && now < next)
		return PGHA_RELOAD_KEPT;
	next = now + CONF_EVERY_MS;
	if (stamp == 0)
		stamp = files_stamp(conf);
	if (!told && !conf->saved && files_stamp(conf) == stamp)
		return PGHA_RELOAD_KEPT;

	/* While a recovery puts the files back they are not to be believed. */
	if (busy)
		return PGHA_RELOAD_KEPT;
	if (!pgha_agent_conf_read_checked(options->data, options->config, &fresh, &faults, error, sizeof(error)))
	{
		if (strcmp(error, complaint) != 0)
			pgha_agent_error("the configuration cannot be used, the former one stays in force: %s", error);
		(void) snprintf(complaint, sizeof(complaint), "%s", error);
		return PGHA_RELOAD_KEPT;
	}
	complaint[0] = '\0';
	tell_faults(&faults);
	tell_passfile(&fresh);
	stamp = files_stamp(&fresh);
	if (conf->saved && fresh.saved)
	{
		pgha_agent_conf_free(&fresh);
		return PGHA_RELOAD_KEPT;
	}
	if (strcmp(fresh.data, conf->data) != 0 || strcmp(fresh.directory, conf->directory) != 0 || fresh.witness != conf->witness ||
		strcmp(fresh.members.member[fresh.self].name, conf->members.member[conf->self].name) != 0)
	{
		pgha_agent_warning("the node, its data directory or the agent's directory have changed: restart the agent");
		pgha_agent_conf_free(&fresh);
		return PGHA_RELOAD_KEPT;
	}
	pgha_agent_log_setup(fresh.log_json, fresh.members.member[fresh.self].name);
	pgha_agent_log("read the configuration again");
	if (memcmp(&fresh.members, &conf->members, sizeof(conf->members)) != 0 ||
		strcmp(fresh.conninfo, conf->conninfo) != 0)
		result = PGHA_RELOAD_MEMBERS;
	pgha_agent_conf_free(conf);
	*conf = fresh;
	return result;
}
