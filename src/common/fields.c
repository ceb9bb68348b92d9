/*
 * fields.c
 *		Lines of tab-separated fields, escaped as in COPY text.
 *
 * Used on both ends of the sockets between the server and its io children, and
 * for the reports of the members.  Everything works in the caller's buffers:
 * nothing is allocated, nothing depends on the locale, and a reader takes any
 * bytes.
 */
#include "fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char special[] = "\t\n\r\\";
static const char letter[] = "tnr\\";

void
pgha_line_init(PghaLine *line, char *buffer, size_t size)
{
	line->text = buffer;
	line->size = size;
	line->length = 0;
	line->fields = 0;
	line->overflow = (size == 0);
	if (size > 0)
		buffer[0] = '\0';
}

/* How many characters of `text` take two when escaped. */
static size_t
count_special(const char *text, size_t length)
{
	size_t		count = 0;

	for (size_t i = 0; i < length; i++)
		if (strchr(special, text[i]) != NULL)
			count++;
	return count;
}

/*
 * Makes room for the escapes of the `raw` characters at `start`.  Works from
 * the end, so that it needs no second buffer.
 */
static void
escape_in_place(char *start, size_t raw, size_t escaped)
{
	char	   *from = start + raw;
	char	   *to = start + escaped;

	while (from < to)
	{
		const char *found = strchr(special, *--from);

		if (found != NULL)
		{
			*--to = letter[found - special];
			*--to = '\\';
		}
		else
			*--to = *from;
	}
}

void
pgha_line_addf(PghaLine *line, const char *format,...)
{
	size_t		separator = line->fields > 0 ? 1 : 0;
	size_t		room;
	size_t		escaped;
	char	   *start;
	int			raw;
	va_list		args;

	if (line->overflow)
		return;

	/* Leave the terminator where it is until the field is known to fit. */
	room = line->size - line->length;
	if (room <= separator)
	{
		line->overflow = true;
		return;
	}
	start = line->text + line->length + separator;
	room -= separator;

	va_start(args, format);
	raw = vsnprintf(start, room, format, args);
	va_end(args);

	if (raw >= 0 && (size_t) raw < room)
		escaped = (size_t) raw + count_special(start, (size_t) raw);
	else
		escaped = room;

	if (escaped >= room)
	{
		line->text[line->length] = '\0';
		line->overflow = true;
		return;
	}

	escape_in_place(start, (size_t) raw, escaped);
	start[escaped] = '\0';
	if (separator > 0)
		start[-1] = '\t';
	line->length += separator + escaped;
	line->fields++;
}

void
pgha_line_add(PghaLine *line, const char *value)
{
	pgha_line_addf(line, "%s", value);
}

char *
pgha_line_next(char **cursor)
{
	char	   *field = *cursor;
	char	   *from = field;
	char	   *to = field;

	if (field == NULL)
		return NULL;

	while (*from != '\0' && *from != '\t')
	{
		if (*from == '\\' && from[1] != '\0' && from[1] != '\t')
		{
			const char *found = strchr(letter, from[1]);

			*to++ = found != NULL ? special[found - letter] : from[1];
			from += 2;
		}
		else
			*to++ = *from++;
	}

	*cursor = (*from == '\t') ? from + 1 : NULL;
	*to = '\0';
	return field;
}

bool
pgha_parse_uint64(const char *text, uint64_t *value)
{
	uint64_t	result = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
	{
		uint64_t	digit;

		if (*text < '0' || *text > '9')
			return false;
		digit = (uint64_t) (*text - '0');
		if (result > (UINT64_MAX - digit) / 10)
			return false;
		result = result * 10 + digit;
	}
	*value = result;
	return true;
}

bool
pgha_parse_int64(const char *text, int64_t *value)
{
	bool		negative = (*text == '-');
	uint64_t	magnitude;

	if (!pgha_parse_uint64(text + (negative ? 1 : 0), &magnitude))
		return false;
	if (negative)
	{
		if (magnitude > (uint64_t) INT64_MAX + 1)
			return false;
		*value = (magnitude > INT64_MAX) ? INT64_MIN : -(int64_t) magnitude;
	}
	else
	{
		if (magnitude > INT64_MAX)
			return false;
		*value = (int64_t) magnitude;
	}
	return true;
}
