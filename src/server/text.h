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
 * Copies what people will read, as far as it fits: control characters become
 * blanks, line breaks only where `lines` is false.
 */
extern void PghaCopyShown(char *to, const char *text, size_t size, bool lines);

/* As PghaCopyText(), palloc'd: at most `length` bytes of a text that came from outside, for a message. */
extern char *PghaClip(const char *text, int length);

#endif							/* PGHA_TEXT_H */
