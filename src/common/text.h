/*
 * text.h
 *		Text of unknown making, before it is shown, kept or sent.
 */
#ifndef PGHA_TEXT_H
#define PGHA_TEXT_H

#include <stddef.h>

/*
 * Makes valid UTF-8 of it, in place and never longer: "?" for each byte that is
 * none, for control characters and for those that change the direction of
 * writing.  A tab becomes a space; a line break stays.  A character that was cut
 * off at the end goes.
 */
extern void pgha_text_clean(char *text);

#endif							/* PGHA_TEXT_H */
