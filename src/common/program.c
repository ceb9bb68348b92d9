/*
 * program.c
 *		What every subcommand of the program shares.
 *
 * In the server it is dead code: that has no command line.
 */
#include "program.h"

#include <stdarg.h>
#include <stdio.h>

#include "log.h"

int
pgha_usage_error(const char *subcommand, const char *format,...)
{
	va_list		args;
	char		hint[64];

	va_start(args, format);
	pgha_put_line(stderr, "pgha: error: ", format, args);
	va_end(args);
	(void) snprintf(hint, sizeof(hint), "HINT:  Try \"pgha %s%s--help\".\n", subcommand, *subcommand != '\0' ? " " : "");
	fputs(hint, stderr);
	return EXIT_USAGE;
}
