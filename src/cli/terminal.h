/*
 * terminal.h
 *		Colours, widths and a screen of one's own.
 */
#ifndef PGHA_TERMINAL_H
#define PGHA_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef enum PghaColor			/* --color */
{
	PGHA_COLOR_AUTO,
	PGHA_COLOR_ALWAYS,
	PGHA_COLOR_NEVER
} PghaColor;

/* What a colour says; the text says the same without it. */
typedef enum PghaPaint
{
	PGHA_PAINT_NONE,
	PGHA_PAINT_GOOD,			/* green: the primary */
	PGHA_PAINT_WARN,			/* yellow: not as it should be, or on its way */
	PGHA_PAINT_BAD				/* red: somebody has to look */
} PghaPaint;

/* Can the cursor be moved on it? */
extern bool pgha_terminal_is(FILE *file);

/* Is it to be coloured?  NO_COLOR counts where --color does not say. */
extern bool pgha_terminal_coloured(FILE *file, PghaColor color);

/* What begins a paint, and with PGHA_PAINT_NONE what ends it; "" if not coloured. */
extern const char *pgha_paint(bool coloured, PghaPaint paint);

/* The size of the terminal; 80 x 24 if it does not say. */
extern void pgha_terminal_size(FILE *file, int *columns, int *rows);

/* How wide lines may be: as the terminal says, or COLUMNS in the environment; 0: as wide as they are. */
extern int	pgha_terminal_width(FILE *file);

/* Characters of a UTF-8 text, escape sequences not counted. */
extern int	pgha_text_width(const char *text);

/* Writes a line of `length` bytes as far as it fits; its escape sequences all. */
extern void pgha_text_clip(FILE *out, const char *line, size_t length, int columns);

/* Writes a text; lines that are wider are broken between words, and go on indented. */
extern void pgha_text_fold(FILE *out, const char *text, int columns);

/*
 * Writes a text of several lines at the top of the screen, in place of what
 * was there; what is too wide or too long for it is left out.
 */
extern void pgha_screen_show(const char *text);

/*
 * Takes the whole screen of stdout, and keys one by one from stdin, until
 * pgha_screen_leave(), which restores both.
 */
extern void pgha_screen_enter(void);
extern void pgha_screen_leave(void);

#endif							/* PGHA_TERMINAL_H */
