/*
 * errors.c
 *		Sentences that say what is wrong, for callers that report them their own way.
 */
#include "errors.h"

#include <stdarg.h>
#include <stdio.h>

bool
pgha_fail(char *error, size_t error_size, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	(void) vsnprintf(error, error_size, format, args);
	va_end(args);
	return false;
}
