/*
 * conf_syntax.c
 *		The syntax of PostgreSQL's configuration files (guc-file.l): name, optional equals
 *		sign, value; strings in single quotes with '' and backslash escapes; comments from
 *		# on.
 *
 * For all who read such files.  Opens none, and knows no setting.
 */
#include "conf_syntax.h"

#include <ctype.h>
#include <string.h>

/* Takes a quoted value off *cursor (which is at the quote) into `out`; false if it does not end. */
static bool
take_quoted(const char **cursor, char *out)
{
	const char *c = *cursor + 1;

	for (; *c != '\0'; c++)
	{
		if (*c == '\'' && c[1] == '\'')
			c++;
		else if (*c == '\'')
		{
			*out = '\0';
			*cursor = c + 1;
			return true;
		}
		else if (*c == '\\' && c[1] != '\0')
		{
			static const char letters[] = "bfnrt";
			static const char meant[] = "\b\f\n\r\t";
			const char *letter = strchr(letters, *++c);

			if (*c >= '0' && *c <= '7')
			{
				int			value = 0;

				for (int i = 0; i < 3 && *c >= '0' && *c <= '7'; i++, c++)
					value = value * 8 + (*c - '0');
				c--;
				*out++ = (char) value;
				continue;
			}
			*out++ = letter != NULL ? meant[letter - letters] : *c;
			continue;
		}
		*out++ = *c;
	}
	return false;
}

bool
pgha_conf_split_line(const char *line, char *name, char *value)
{
	size_t		length;

	*name = *value = '\0';
	line += strspn(line, " \t\r\f\v");
	if (*line == '\0' || *line == '#')
		return true;
	length = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$-");
	if (length == 0)
		return false;
	memcpy(name, line, length);
	name[length] = '\0';
	line += length;
	line += strspn(line, " \t\r\f\v");
	if (*line == '=')
		line += 1 + strspn(line + 1, " \t\r\f\v");
	if (*line == '\'')
	{
		if (!take_quoted(&line, value))
			return false;
	}
	else
	{
		length = strcspn(line, " \t\r\f\v#");
		memcpy(value, line, length);
		value[length] = '\0';
		line += length;
	}
	line += strspn(line, " \t\r\f\v");
	return *line == '\0' || *line == '#';
}
