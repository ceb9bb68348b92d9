/*
 * doctor_pgpool.c
 *		Checks of `pgha doctor --pgpool-conf`: a pgpool.conf beside pgha.
 *
 * pgha decides who is the primary, pgpool has to find out.  Each setting below
 * is one with which it does not, or acts on its own; the reasons were seen with
 * pgpool-II 4.3.5.  A setting that the file does not have is judged by pgpool's
 * default.  Files that pgpool.conf includes are not read.
 */
#include "doctor_pgpool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../host/conf_syntax.h"
#include "../net/pcp.h"
#include "finding.h"

/* A setting as it stands in the file; the last one of a name counts. */
typedef struct Setting
{
	char	   *name;
	char	   *value;
} Setting;

typedef struct Pgpool
{
	const char *file;
	json_t	   *findings;
	int			count;
	int			room;
	Setting    *setting;
} Pgpool;

/* ---- the file ---- */

static bool
add_setting(Pgpool *pgpool, const char *name, const char *value)
{
	if (pgpool->count == pgpool->room)
	{
		int			room = pgpool->room > 0 ? 2 * pgpool->room : 64;
		Setting    *larger = realloc(pgpool->setting, (size_t) room * sizeof(Setting));

		if (larger == NULL)
			return false;
		pgpool->setting = larger;
		pgpool->room = room;
	}
	pgpool->setting[pgpool->count].name = strdup(name);
	pgpool->setting[pgpool->count].value = strdup(value);
	pgpool->count++;
	return pgpool->setting[pgpool->count - 1].name != NULL && pgpool->setting[pgpool->count - 1].value != NULL;
}

/* False after a finding. */
static bool
read_settings(Pgpool *pgpool)
{
	FILE	   *file = fopen(pgpool->file, "re");
	char	   *line = NULL;
	size_t		size = 0;
	int			number = 0;
	ssize_t		length;
	bool		good = true;

	if (file == NULL)
	{
		pgha_finding(pgpool->findings, "error", "pgpool_conf", "Name the file that pgpool reads, as a user who may read it.",
					 "could not open \"%s\": %s", pgpool->file, strerror(errno));
		return false;
	}
	while (good && (length = getline(&line, &size, file)) >= 0)
	{
		char	   *name = malloc((size_t) length + 1);
		char	   *value = malloc((size_t) length + 1);

		number++;
		line[strcspn(line, "\r\n")] = '\0';
		if (name == NULL || value == NULL || !pgha_conf_split_line(line, name, value) ||
			(*name != '\0' && !add_setting(pgpool, name, value)))
		{
			good = false;
			pgha_finding(pgpool->findings, "error", "pgpool_conf", "Correct the line.",
						 "line %d of \"%s\" cannot be read", number, pgpool->file);
		}
		free(name);
		free(value);
	}
	free(line);
	(void) fclose(file);
	if (good)
		pgha_finding(pgpool->findings, "ok", "pgpool_conf", NULL, "%d settings", pgpool->count);
	return good;
}

static const char *
get(const Pgpool *pgpool, const char *name, const char *otherwise)
{
	for (int i = pgpool->count - 1; i >= 0; i--)
		if (strcasecmp(pgpool->setting[i].name, name) == 0)
			return pgpool->setting[i].value;
	return otherwise;
}

static const char *
get_numbered(const Pgpool *pgpool, const char *name, int number)
{
	char		full[64];

	(void) snprintf(full, sizeof(full), "%s%d", name, number);
	return get(pgpool, full, "");
}

static bool
is_on(const char *value)
{
	return strcasecmp(value, "on") == 0 || strcasecmp(value, "true") == 0 || strcasecmp(value, "yes") == 0 ||
		strcmp(value, "1") == 0;
}

/* Are two values of a setting the same?  A number may have a unit: 0 is 0s. */
static bool
same_value(const char *a, const char *b)
{
	if ((strcmp(b, "on") == 0 || strcmp(b, "off") == 0))
		return is_on(a) == is_on(b);
	if (strcmp(b, "0") == 0)
		return *a != '\0' && strtod(a, NULL) == 0;
	return strcasecmp(a, b) == 0;
}

/* A time in seconds, with a unit or without; negative if it is none. */
static double
seconds(const char *value)
{
	static const struct
	{
		const char *unit;
		double		seconds;
	}			units[] = {{"", 1}, {"ms", 0.001}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};
	char	   *end;
	double		number = strtod(value, &end);

	for (size_t i = 0; end != value && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end + strspn(end, " "), units[i].unit) == 0)
			return number * units[i].seconds;
	return -1;
}

/* ---- single settings ---- */

typedef struct Rule
{
	const char *setting;
	const char *otherwise;		/* pgpool's default */
	bool		must;			/* must it, or must it not, be */
	const char *value;
	const char *severity;
	const char *reason;
	const char *write;			/* what to write instead */
} Rule;

static const Rule rules[] = {
	{"backend_clustering_mode", "streaming_replication", true, "streaming_replication", "error",
	"pgpool would write to all servers itself", "'streaming_replication'"},
	{"failover_command", "", true, "", "error",
	"the script acts beside pgha, which alone decides who leads", "''"},
	{"follow_primary_command", "", true, "", "error",
	"pgha makes the other standbys follow, without a script", "''"},
	{"failback_command", "", true, "", "warning",
	"there is nothing left to do when a server comes back", "''"},
	{"health_check_period", "0", false, "0", "error",
	"pgpool never notices by itself that a server is gone", "2"},
	{"health_check_timeout", "20", false, "0", "error",
	"a frozen server holds the health check up without a limit", "3"},
	{"sr_check_period", "10", true, "0", "warning",
	"the replication check waits for a frozen server without a limit, and holds the lock that the search for the primary needs", "0"},
	{"detach_false_primary", "off", true, "off", "error",
	"with two servers pgpool keeps the one with the lower number, which may be the old primary; with three it compares addresses as text", "off"},
	{"failover_on_backend_error", "on", true, "off", "warning",
	"one broken session detaches a server that is well", "off"},
	{"failover_on_backend_shutdown", "off", true, "off", "warning",
	"a session that an administrator ends detaches a server that is well", "off"},
};

static void
check_rule(const Pgpool *pgpool, const Rule *rule)
{
	const char *value = get(pgpool, rule->setting, rule->otherwise);
	char		name[64];
	char		remedy[128];

	(void) snprintf(name, sizeof(name), "pgpool_%s", rule->setting);
	(void) snprintf(remedy, sizeof(remedy), "Write %s = %s, and reload pgpool.", rule->setting, rule->write);
	if (same_value(value, rule->value) == rule->must)
		pgha_finding(pgpool->findings, "ok", name, NULL, "%s", *value != '\0' ? value : "empty");
	else
		pgha_finding(pgpool->findings, rule->severity, name, remedy, "%s is \"%s\": %s", rule->setting, value, rule->reason);
}

/* ---- settings that belong together ---- */

static void
check_recovery(const Pgpool *pgpool)
{
	const char *name = "pgpool_recovery";
	const char *command = get(pgpool, "recovery_1st_stage_command", "");

	if (strncmp(command, "pgha", 4) != 0 || (command[4] != '\0' && command[4] != ':'))
		pgha_finding(pgpool->findings, *command == '\0' ? "info" : "error", name,
					 "Write recovery_1st_stage_command = 'pgha', and reload pgpool.",
					 *command == '\0' ? "recovery_1st_stage_command is \"%s\": pcp_recovery_node only starts a server" :
					 "recovery_1st_stage_command is \"%s\": pgha knows no script of that name", command);
	else if (*get(pgpool, "recovery_user", "") == '\0')
		pgha_finding(pgpool->findings, "error", name,
					 "Write recovery_user, with a role that may call pgpool_recovery() and pgpool_remote_start().",
					 "recovery_user is empty: pcp_recovery_node cannot log in");
	else if (*get(pgpool, "recovery_2nd_stage_command", "") != '\0')
		pgha_finding(pgpool->findings, "warning", name, "Write recovery_2nd_stage_command = '', and reload pgpool.",
					 "recovery_2nd_stage_command is not empty: streaming replication has no second stage");
	else
		pgha_finding(pgpool->findings, "ok", name, NULL, "recovery_1st_stage_command is \"%s\"", command);
}

/*
 * While pgpool searches it attaches nothing, not even the primary that it has
 * detached; and it searches among those that are attached.
 */
#define SEARCH_MAX_S	10

static void
check_search(const Pgpool *pgpool)
{
	const char *name = "pgpool_search_primary_node_timeout";
	const char *remedy = "Write search_primary_node_timeout = 5, and reload pgpool.";
	const char *value = get(pgpool, name + strlen("pgpool_"), "300");
	double		limit = seconds(value);

	if (limit > 0 && limit <= SEARCH_MAX_S)
		pgha_finding(pgpool->findings, "ok", name, NULL, "%s", value);
	else if (limit > 0)
		pgha_finding(pgpool->findings, "warning", name, remedy,
					 "search_primary_node_timeout is \"%s\": when pgpool has detached a primary that leads on, nothing attaches it"
					 " again for so long, and nobody can write", value);
	else
		pgha_finding(pgpool->findings, "warning", name, remedy,
					 "search_primary_node_timeout is \"%s\": when pgpool has detached a primary that leads on, it searches for"
					 " another one for ever, and nobody can write until it is restarted", value);
}

/*
 * Two of two is no majority when one of them is cut off; so one is enough, if
 * pgpool is told so, and then each of them may be that one.
 */
static void
check_watchdog(const Pgpool *pgpool)
{
	const char *name = "pgpool_watchdog";
	const char *value = get(pgpool, "wd_interval", "10");
	int			count = 0;
	bool		good = true;

	if (!is_on(get(pgpool, "use_watchdog", "off")))
		return;
	while (*get_numbered(pgpool, "hostname", count) != '\0')
		count++;
	if (count == 2 && *get(pgpool, "trusted_servers", "") == '\0')
	{
		bool		half = is_on(get(pgpool, "enable_consensus_with_half_votes", "off"));

		good = false;
		pgha_finding(pgpool->findings, "warning", name,
					 "Add a third pgpool, or write trusted_servers with a host that both reach, such as their router.",
					 half ? "two pgpools and no witness: cut off from each other, both take the address" :
					 "two pgpools, and enable_consensus_with_half_votes is off: when one is gone, the other one does not take the address");
	}
	if (seconds(value) > 3)
	{
		good = false;
		pgha_finding(pgpool->findings, "warning", name, "Write wd_interval = 2, and restart pgpool.",
					 "wd_interval is \"%s\": pgpool does not notice that another one is gone before it has run for ten times as long",
					 value);
	}
	if (good)
		pgha_finding(pgpool->findings, "ok", name, NULL, "%d pgpools", count);
}

static void
check_auto_failback(const Pgpool *pgpool)
{
	const char *name = "pgpool_auto_failback";
	bool		checks = strtod(get(pgpool, "sr_check_period", "10"), NULL) > 0;

	if (!is_on(get(pgpool, "auto_failback", "off")))
	{
		pgha_finding(pgpool->findings, "ok", name, NULL, "off: pgha's agent attaches a server that is back, with pgha.pgpool");
		return;
	}
	if (!checks)
		pgha_finding(pgpool->findings, "warning", name, "Write auto_failback = off, and name this pgpool in pgha.pgpool.",
					 "auto_failback is on, but sr_check_period is 0: it never does anything");
	for (int i = 0; checks && i < PGHA_MAX_MEMBERS; i++)
		if (*get_numbered(pgpool, "backend_hostname", i) != '\0' &&
			*get_numbered(pgpool, "backend_application_name", i) == '\0')
			pgha_finding(pgpool->findings, "warning", name, "Write backend_application_nameN with the node's name in pgha.members.",
						 "auto_failback is on, but backend_application_name%d is missing: that server is never attached again", i);
}

static void
check_sr_check_user(const Pgpool *pgpool)
{
	const char *user = get(pgpool, "sr_check_user", "nobody");

	if (*user == '\0' || strcmp(user, "nobody") == 0)
		pgha_finding(pgpool->findings, "error", "pgpool_sr_check_user",
					 "Write sr_check_user with a role that can log in to every server, a member of pg_monitor.",
					 "sr_check_user is \"%s\": with it pgpool asks who is the primary, whatever sr_check_period is", user);
	else
		pgha_finding(pgpool->findings, "ok", "pgpool_sr_check_user", NULL, "%s", user);
}

/* ---- backends ---- */

/* What pgpool says of the member that a backend is. */
static bool
check_as_member(const Pgpool *pgpool, int number, const PghaMembers *members, int member, const PghaAgentConf *conf)
{
	const char *application = get_numbered(pgpool, "backend_application_name", number);
	const char *data = get_numbered(pgpool, "backend_data_directory", number);
	const char *node = members->member[member].name;
	bool		good = true;

	if (*application != '\0' && strcmp(application, node) != 0)
	{
		good = false;
		pgha_finding(pgpool->findings, "warning", "pgpool_backends", "Write the node's name in pgha.members there.",
					 "backend_application_name%d is \"%s\", but that server is node \"%s\"", number, application, node);
	}
	if (conf != NULL && member == conf->self && *data != '\0' && strcmp(data, conf->data) != 0)
	{
		good = false;
		pgha_finding(pgpool->findings, "warning", "pgpool_backends", "Write the node's data directory there, as it is without symbolic links.",
					 "backend_data_directory%d is \"%s\", but the data directory of \"%s\" is \"%s\": pcp_recovery_node is refused",
					 number, data, node, conf->data);
	}
	return good;
}

static bool
check_flags(const Pgpool *pgpool, int number)
{
	const char *flags = get_numbered(pgpool, "backend_flag", number);

	if (strstr(flags, "ALWAYS_PRIMARY") != NULL)
	{
		pgha_finding(pgpool->findings, "error", "pgpool_backends", "Write backend_flagN = 'ALLOW_TO_FAILOVER'.",
					 "backend_flag%d is \"%s\": pgpool goes on writing there after a failover", number, flags);
		return false;
	}
	if (strstr(flags, "DISALLOW_TO_FAILOVER") != NULL)
	{
		pgha_finding(pgpool->findings, "warning", "pgpool_backends", "Write backend_flagN = 'ALLOW_TO_FAILOVER'.",
					 "backend_flag%d is \"%s\": pgpool never lets go of that server, and does not look for the primary when it is gone",
					 number, flags);
		return false;
	}
	return true;
}

static void
check_backends(const Pgpool *pgpool, const PghaMembers *members, const PghaAgentConf *conf)
{
	bool		seen[PGHA_MAX_MEMBERS] = {false};
	bool		good = true;
	int			count = 0;

	for (int i = 0; i < 128; i++)
	{
		const char *host = get_numbered(pgpool, "backend_hostname", i);
		const char *port = get_numbered(pgpool, "backend_port", i);
		int			member;

		if (*host == '\0')
			continue;
		count++;
		good &= check_flags(pgpool, i);
		if (members == NULL)
			continue;
		member = pgha_pcp_member(members, host, *port != '\0' ? atoi(port) : 5432);
		if (member == PGHA_NOBODY)
		{
			good = false;
			pgha_finding(pgpool->findings, "warning", "pgpool_backends", "Write addresses and ports as in pgha.members.",
						 "backend %d (%s:%s) is no member of the cluster", i, host, port);
			continue;
		}
		seen[member] = true;
		good &= check_as_member(pgpool, i, members, member, conf);
	}
	for (int i = 0; members != NULL && i < members->count; i++)
	{
		if (seen[i])
			continue;
		good = false;
		pgha_finding(pgpool->findings, "error", "pgpool_backends", "Add backend_hostnameN, backend_portN and so on for it.",
					 "member \"%s\" is no backend: when it leads, pgpool does not find it", members->member[i].name);
	}
	if (good)
		pgha_finding(pgpool->findings, "ok", "pgpool_backends", NULL, "%d backends%s", count,
					 members != NULL ? ", each is a member" : "");
}

/* ---- all ---- */

void
pgha_doctor_pgpool(const char *file, const PghaMembers *members, const PghaAgentConf *conf, json_t *findings)
{
	Pgpool		pgpool = {.file = file, .findings = findings};

	if (read_settings(&pgpool))
	{
		for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
			check_rule(&pgpool, &rules[i]);
		check_search(&pgpool);
		check_sr_check_user(&pgpool);
		check_watchdog(&pgpool);
		check_auto_failback(&pgpool);
		check_recovery(&pgpool);
		check_backends(&pgpool, members, conf);
	}
	for (int i = 0; i < pgpool.count; i++)
	{
		free(pgpool.setting[i].name);
		free(pgpool.setting[i].value);
	}
	free(pgpool.setting);
}
