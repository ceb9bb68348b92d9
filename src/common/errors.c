/*
 * errors.c
 *		Sentences that say what is wrong, for callers that report them their own way.
 */
#include "errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

bool
pgha_fail(char *error, size_t error_size, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	(void) vsnprintf(error, error_size, format, args);
	va_end(args);
	if (error_size > 0)
		(void) pgha_shown(error, true);
	return false;
}

char *
pgha_shown(char *text, bool lines)
{
	pgha_text_clean(text);
	for (char *p = text; !lines && (p = strchr(p, '\n')) != NULL;)
		*p++ = ' ';
	return text;
}
