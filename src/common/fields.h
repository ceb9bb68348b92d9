/*
 * fields.h
 *		Lines of tab-separated fields, escaped as in COPY text: \t \n \r \\ .
 */
#ifndef PGHA_FIELDS_H
#define PGHA_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest line between the server and its io children, newline included. */
#define PGHA_LINE_SIZE	65536

/* First line of a history whose older part did not fit into a line. */
#define PGHA_HISTORY_SHORTENED	"# pgha shortened\n"

/*
 * A line being written.  `overflow` is set, and stays, once a field did not
 * fit; that field and all later ones are left out as a whole.
 */
typedef struct PghaLine
{
	char	   *text;			/* always NUL-terminated */
	size_t		size;
	size_t		length;
	int			fields;			/* written so far; the first may be empty */
	bool		overflow;
} PghaLine;

extern void pgha_line_init(PghaLine *line, char *buffer, size_t size);

/* Appends one field (and a tab before it, unless it is the first). */
extern void pgha_line_add(PghaLine *line, const char *value);
extern void pgha_line_addf(PghaLine *line, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/*
 * Takes the next field off *cursor, unescaping it in place.  NULL at the end,
 * which is when *cursor is NULL.  The line must not contain its newline any more.
 */
extern char *pgha_line_next(char **cursor);

/* Whole-string numbers; false if `text` is anything else or out of range. */
extern bool pgha_parse_uint64(const char *text, uint64_t *value);
extern bool pgha_parse_int64(const char *text, int64_t *value);

#endif							/* PGHA_FIELDS_H */
