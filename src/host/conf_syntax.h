/*
 * conf_syntax.h
 *		The syntax of PostgreSQL's configuration files.
 */
#ifndef PGHA_HOST_CONF_SYNTAX_H
#define PGHA_HOST_CONF_SYNTAX_H

#include <stdbool.h>

/*
 * Splits one line of a file in PostgreSQL's syntax, without its line break.
 * *name is empty for a line without a setting.  Both buffers are as long as the
 * line.  False if it is not a line of a configuration.
 */
extern bool pgha_conf_split_line(const char *line, char *name, char *value);

#endif							/* PGHA_HOST_CONF_SYNTAX_H */
