/*
 * table.c
 *		Aligned tables of JSON values, for people.
 *
 * Texts are UTF-8, and may come from other servers: control characters are not
 * passed on to the terminal.  The last column is not padded and may be of any
 * length; other cells are cut at CELL_SIZE.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "table.h"

#define CELL_SIZE	512

void
pgha_table_value(const json_t *value, char *out, size_t size)
{
	if (json_is_string(value))
		(void) snprintf(out, size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		(void) snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		(void) snprintf(out, size, "%.1f", json_real_value(value));
	else if (json_is_boolean(value))
		(void) snprintf(out, size, "%s", json_is_true(value) ? "yes" : "no");
	else
		(void) snprintf(out, size, "%s", "");

	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char) *p < ' ' || *p == '\177')
			*p = ' ';
}

void
pgha_table_time(const json_t *row, const json_t *value, char *out, size_t size)
{
	char	   *point;
	char	   *t;

	(void) row;
	pgha_table_value(value, out, size);
	t = strchr(out, 'T');
	if (t != NULL)
		*t = ' ';
	point = strchr(out, '.');
	if (point != NULL)
	{
		size_t		digits = strspn(point + 1, "0123456789");

		if (digits > 3)
			memmove(point + 4, point + 1 + digits, strlen(point + 1 + digits) + 1);
	}
}

/* Characters, not bytes. */
static int
width(const char *text)
{
	int			count = 0;

	for (; *text != '\0'; text++)
		if (((unsigned char) *text & 0xC0) != 0x80)
			count++;
	return count;
}

static void
make_cell(const json_t *row, const PghaColumn *column, char *out)
{
	const json_t *value = json_object_get(row, column->key);

	if (column->format != NULL)
		column->format(row, value, out, CELL_SIZE);
	else
		pgha_table_value(value, out, CELL_SIZE);
	if (*out == '\0')
		strcpy(out, "-");
}

static void
print_cell(const char *text, const PghaColumn *column, int column_width, bool last)
{
	int			padding = column_width - width(text);

	if (column->right)
		printf("%*s%s", padding, "", text);
	else
		printf("%s%*s", text, last ? 0 : padding, "");
	fputs(last ? "\n" : "  ", stdout);
}

void
pgha_table_print(const json_t *rows, const PghaColumn *columns, int count)
{
	int			widths[32] = {0};
	size_t		index;
	const json_t *row;
	char		cell[CELL_SIZE];

	for (int i = 0; i < count; i++)
	{
		widths[i] = width(columns[i].title);
		json_array_foreach(rows, index, row)
		{
			make_cell(row, &columns[i], cell);
			if (width(cell) > widths[i])
				widths[i] = width(cell);
		}
	}

	for (int i = 0; i < count; i++)
		print_cell(columns[i].title, &columns[i], widths[i], i == count - 1);
	json_array_foreach(rows, index, row)
	{
		for (int i = 0; i < count; i++)
		{
			make_cell(row, &columns[i], cell);
			print_cell(cell, &columns[i], widths[i], i == count - 1);
		}
	}
}
