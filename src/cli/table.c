/*
 * table.c
 *		Aligned tables of JSON values, for people.
 *
 * Texts are UTF-8, and may come from other servers: control characters are not
 * passed on to the terminal.  The last column is not padded and may be of any
 * length; other cells are cut at CELL_SIZE.
 *
 * For every subcommand that shows rows.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/errors.h"
#include "table.h"

#define CELL_SIZE	512
/* However narrow it is: marks, names, and what matters most. */
#define ALWAYS_SHOWN	4

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

	(void) pgha_shown(out, false);
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
print_cell(FILE *out, const char *text, const PghaColumn *column, int column_width, bool last, const char *paint)
{
	int			padding = column_width - pgha_text_width(text);

	if (column->right)
		fprintf(out, "%*s", padding, "");
	fprintf(out, "%s%s%s", paint, text, *paint != '\0' ? pgha_paint(true, PGHA_PAINT_NONE) : "");
	if (!column->right && !last)
		fprintf(out, "%*s", padding, "");
	fputs(last ? "\n" : "  ", out);
}

/* The width that a column needs; 0 if it is left out. */
static int
column_width(const json_t *rows, const PghaColumn *column)
{
	int			needed = pgha_text_width(column->title);
	bool		wanted = false;
	size_t		index;
	const json_t *row;
	char		cell[CELL_SIZE];

	json_array_foreach(rows, index, row)
	{
		if (json_object_get(row, column->key) != NULL)
			wanted = true;
		make_cell(row, column, cell);
		if (pgha_text_width(cell) > needed)
			needed = pgha_text_width(cell);
	}
	return wanted ? needed : 0;
}

/* Leaves out columns from the last one on until the others fit; but for the first four. */
static void
leave_out(int *widths, int count, int width)
{
	int			total = -2;

	for (int i = 0; i < count; i++)
		total += widths[i] > 0 ? widths[i] + 2 : 0;
	for (int i = count - 1; width > 0 && i >= ALWAYS_SHOWN && total > width; i--)
	{
		total -= widths[i] > 0 ? widths[i] + 2 : 0;
		widths[i] = 0;
	}
}

/* Prints a line of the table: the titles if `row` is NULL. */
static void
print_row(FILE *out, const json_t *row, const PghaColumn *columns, const int *widths, int count, bool coloured)
{
	char		cell[CELL_SIZE];
	int			last = 0;

	for (int i = 0; i < count; i++)
		if (widths[i] > 0)
			last = i;
	for (int i = 0; i < count; i++)
	{
		PghaPaint	paint = row != NULL && columns[i].paint != NULL ? columns[i].paint(row) : PGHA_PAINT_NONE;

		if (widths[i] == 0)
			continue;
		if (row != NULL)
			make_cell(row, &columns[i], cell);
		print_cell(out, row != NULL ? cell : columns[i].title, &columns[i], widths[i], i == last,
				   paint != PGHA_PAINT_NONE ? pgha_paint(coloured, paint) : "");
	}
}

/* The same, cut to the width. */
static void
print_row_within(FILE *out, const json_t *row, const PghaColumn *columns, const int *widths, int count, bool coloured, int width)
{
	char	   *text = NULL;
	size_t		size;
	FILE	   *line = width > 0 ? open_memstream(&text, &size) : NULL;

	if (line == NULL)
	{
		print_row(out, row, columns, widths, count, coloured);
		return;
	}
	print_row(line, row, columns, widths, count, coloured);
	(void) fclose(line);
	if (text != NULL)
		pgha_text_clip(out, text, strcspn(text, "\n"), width);
	fputc('\n', out);
	free(text);
}

void
pgha_table_print(FILE *out, const json_t *rows, const PghaColumn *columns, int count, bool coloured, int width)
{
	int			widths[32];
	size_t		index;
	const json_t *row;

	for (int i = 0; i < count; i++)
		widths[i] = column_width(rows, &columns[i]);
	leave_out(widths, count, width);
	print_row_within(out, NULL, columns, widths, count, coloured, width);
	json_array_foreach(rows, index, row)
		print_row_within(out, row, columns, widths, count, coloured, width);
}
