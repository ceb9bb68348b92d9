/*
 * text.h
 *		Texts that came from outside, cut to a size without cutting a character.
 */
#ifndef PGHA_TEXT_H
#define PGHA_TEXT_H

#include "postgres.h"

/* Copies as much of `text` as fits without cutting a character. */
extern void PghaCopyText(char *to, const char *text, size_t size);

/*
 * Makes a text fit for people's terminals and for the log, in place, as
 * pgha_shown() does (errors.h): line breaks stay where `lines` is true.
 */
extern void PghaCleanShown(char *text, bool lines);

/* Copies what people will read so, as far as it fits. */
extern void PghaCopyShown(char *to, const char *text, size_t size, bool lines);

/* The same on one line, palloc'd: at most `length` bytes of a text that came from outside, for a message. */
extern char *PghaClip(const char *text, int length);

#endif							/* PGHA_TEXT_H */
