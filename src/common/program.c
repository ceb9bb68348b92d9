/*
 * program.c
 *		What every subcommand of the program shares.
 *
 * In the server it is dead code: that has no command line.
 */
#include "program.h"

#include <stdarg.h>
#include <stdio.h>

int
pgha_usage_error(const char *subcommand, const char *format,...)
{
	va_list		args;

	fputs("pgha: error: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nHINT:  Try \"pgha %s%s--help\".\n", subcommand, *subcommand != '\0' ? " " : "");
	return EXIT_USAGE;
}
