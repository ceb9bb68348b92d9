/*
 * finding.c
 *		What a check of `pgha doctor` finds.
 *
 * The room below all checks.
 *
 * For the checks of the program; those of the server make the same objects in SQL.
 */
#include "finding.h"

#include <stdarg.h>
#include <stdio.h>

#include "../common/text.h"

void
pgha_finding(json_t *findings, const char *severity, const char *check,
			 const char *remedy, const char *format,...)
{
	char		text[1200];
	char		what_to_do[1200];
	va_list		args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void) snprintf(what_to_do, sizeof(what_to_do), "%s", remedy != NULL ? remedy : "");

	/* JSON takes nothing else: the finding would be lost. */
	pgha_text_clean(text);
	pgha_text_clean(what_to_do);
	(void) json_array_append_new(findings,
								 json_pack("{s:s, s:s, s:s, s:s?}", "severity", severity,
										   "check", check, "finding", text, "remedy", remedy != NULL ? what_to_do : NULL));
}
