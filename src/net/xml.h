/*
 * xml.h
 *		Picking elements out of the answers of EC2.
 */
#ifndef PGHA_XML_H
#define PGHA_XML_H

#include <stdbool.h>
#include <stddef.h>

/* A part of a text that somebody else owns. */
typedef struct PghaXml
{
	const char *text;
	size_t		length;
} PghaXml;

/*
 * Finds the first element `name` in `in`, at any depth, and sets *content to
 * what is between its tags.  Elements of the same name inside it are part of
 * it.  `rest`, if not NULL, gets what follows it: pass it as `in` to find the
 * next one.  Both may be the same as `in`.  False if there is none, or if it
 * does not end.
 */
extern bool pgha_xml_find(const PghaXml *in, const char *name, PghaXml *content, PghaXml *rest);

/*
 * Copies the text of the first element `name`, with the five standard entities
 * replaced and control characters as blanks.  False, and an empty value, if
 * there is none, it has elements inside, or it does not fit.
 */
extern bool pgha_xml_text(const PghaXml *in, const char *name, char *value, size_t size);

#endif							/* PGHA_XML_H */
