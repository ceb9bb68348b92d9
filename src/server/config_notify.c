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

#include "utils/guc.h"

#include "config_notify.h"

static int	pgha_agent_log_format = 0;

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
}
