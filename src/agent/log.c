/*
 * log.c
 *		The agent's log, which is stderr: systemd, or whoever started it, keeps it.
 *
 * The room below all others of the agent: it calls none of them.
 */
#include "log.h"
#include "../common/errors.h"

#include <stdarg.h>
#include <stdio.h>

void
pgha_agent_log(const char *format,...)
{
	va_list		args;
	char		text[1400];

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void) pgha_shown(text, false);
	fprintf(stderr, "pgha agent: %s\n", text);
}
