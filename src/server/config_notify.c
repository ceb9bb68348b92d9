/*
 * config_notify.c
 *		The settings of how people and programs are told what happens: a part of
 *		config.c's set.
 *
 * Only the agent goes by them, which reads the same words (host/conf.c).  They are
 * checked here, so that a mistake shows at once.
 */
#include "postgres.h"

#include <limits.h>
#include <stdlib.h>

#include "utils/guc.h"

#include "../common/command.h"
#include "../common/event_kind.h"
#include "config_notify.h"

static int	pgha_agent_log_format = 0;
static char *pgha_notify_command = NULL;
static char *pgha_notify_events = NULL;
static int	pgha_notify_timeout = 30000;

static const struct config_enum_entry log_format_options[] = {
	{"text", 0, false},
	{"json", 1, false},
	{NULL, 0, false}
};

void
PghaConfigNotifyInit(void)
{
	DefineCustomEnumVariable("pgha.agent_log_format",
							 "How the lines of the agent's log look.",
							 "text: time, process, severity, message; json: an object a line.",
							 &pgha_agent_log_format, 0, log_format_options, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("pgha.notify_command",
							   "Program that the agent runs for each event, which it gets as an object of JSON on stdin; empty: none.",
							   "Split like a command line, run without a shell.",
							   &pgha_notify_command, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("pgha.notify_events",
							   "Kinds of events that pgha.notify_command is run for: 'failover, fence, …', or 'all'; empty: those worth telling.",
							   NULL,
							   &pgha_notify_events, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("pgha.notify_timeout",
							"How long pgha.notify_command may take for an event.",
							NULL,
							&pgha_notify_timeout, 30000, 1, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
}

bool
PghaConfigNotifyCheck(char *error, size_t error_size, char *hint, size_t hint_size)
{
	PghaEventKinds kinds;
	char		reason[256];
	char	  **argv = pgha_command_split(pgha_notify_command, NULL, reason, sizeof(reason));
	bool		absolute = argv != NULL && (argv[0] == NULL || argv[0][0] == '/');
	bool		read = argv != NULL;

	free(argv);
	if (!absolute)
	{
		if (read)
			snprintf(error, error_size, "pgha.notify_command does not begin with an absolute path");
		else
			snprintf(error, error_size, "pgha.notify_command cannot be read: %s", reason);
		snprintf(hint, hint_size, "Write a program with its arguments, as in pgha.notify_command = '/usr/local/bin/pgha-mail dba@example.com'; no shell will read it.");
		return false;
	}
	if (!pgha_event_kinds_parse(pgha_notify_events, &kinds, reason, sizeof(reason)))
	{
		snprintf(error, error_size, "pgha.notify_events cannot be read: %s", reason);
		snprintf(hint, hint_size, "Write kinds of events, as in pgha.notify_events = 'failover, fence, lost'; 'all'; or '' for those worth telling.");
		return false;
	}
	if (pgha_notify_timeout < 1000)
	{
		snprintf(error, error_size, "pgha.notify_timeout (%d ms) is below 1 s", pgha_notify_timeout);
		snprintf(hint, hint_size, "Write pgha.notify_timeout = '30s'.");
		return false;
	}
	return true;
}
