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
	if (error_size > 0)
		(void) pgha_shown(error, true);
	return false;
}

/* The length of the UTF-8 character that begins here, whose number is put into *number; 0: it is none. */
static size_t
read_character(const unsigned char *p, unsigned *number)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t		length = p[0] < 0x80 ? 1 : p[0] >= 0xC2 && p[0] <= 0xDF ? 2 :
		(p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : 0;

	if (length == 0)
		return 0;
	*number = length == 1 ? p[0] : p[0] & (0x7Fu >> length);
	for (size_t i = 1; i < length; i++)
	{
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		*number = *number << 6 | (p[i] & 0x3Fu);
	}
	return *number < least[length] || *number > 0x10FFFF || (*number >= 0xD800 && *number <= 0xDFFF) ? 0 : length;
}

static bool
is_hostile(unsigned c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x061C || c == 0x200E || c == 0x200F ||
		(c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

char *
pgha_shown(char *text, bool lines)
{
	char	   *to = text;
	unsigned	number = 0;
	size_t		length;

	for (const char *from = text; *from != '\0'; from += length)
	{
		length = read_character((const unsigned char *) from, &number);
		if (length == 0 || is_hostile(number))
		{
			bool		blank = *from == '\t' || *from == '\n';

			*to++ = lines && *from == '\n' ? '\n' : blank ? ' ' : '?';
			length = length == 0 ? 1 : length;
			continue;
		}
		for (size_t i = 0; i < length; i++)
			*to++ = from[i];
	}
	*to = '\0';
	return text;
}
